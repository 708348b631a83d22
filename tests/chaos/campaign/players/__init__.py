"""Players of a campaign: each uses one feature all the time, and closes an account of its own at the end."""
