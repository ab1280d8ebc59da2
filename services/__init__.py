"""The domain of Tidemark: keys, sites, usage, reports. No web, no queue, no clock, no environment.

Features import only rightwards: reports -> sites -> usage -> keys -> partners -> delivery -> signing, db,
clock, errors.
A front door uses a feature by its face: `from services import sites`.
"""
