"""What agents and managers of this program say to one another within custom messages of OpAMP."""
