"""Who calls an API: by an issuer's token, by what a function says, by a signature. One file for each way to find out.

Each `admit` returns what was learned of the caller, and raises Refused for one who may not pass.
"""
