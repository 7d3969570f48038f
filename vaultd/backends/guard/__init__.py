"""Places that users name: which addresses may be asked, and HTTP that holds to it."""
