"""A store in an S3 bucket.

`store` is the port; what travels how is decided there.  `control` sends through boto3 what needs an
exact answer, `payload` through obstore what must be fast; `answers` says what either one's errors
mean, once.  `parts` sends large bodies, `credentials` says who we are, `calls` runs blocking calls
in threads and cuts them off, `wire` is where boto3's requests are cut.
"""
