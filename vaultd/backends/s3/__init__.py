"""S3 (`s3://`): the backend, and what only it needs."""
