"""The servers that the S3 store is tested against, each on 127.0.0.1 only.

`moto.MotoServer` is the store of the default suite; `chaos.ChaosProxy` stands before a server and
spoils what passes, or makes it go away; `responder.Responder` costs next to nothing, and breaks one
promise at will; `s3rver.S3rver` is a real store that ignores conditions.
"""
