"""OpAMP, the Open Agent Management Protocol: messages, frames, capabilities, attributes, identifiers.

The specification is OpenTelemetry's, version 0.18: https://opentelemetry.io/docs/specs/opamp/
"""
