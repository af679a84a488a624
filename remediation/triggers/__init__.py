"""What makes signals beside the webhook: container events, probes, queries and the scaler of this host."""
