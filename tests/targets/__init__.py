"""The whole engine on real servers, over bad networks."""
