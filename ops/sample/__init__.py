"""A sample: partners with their people, and a small fleet that has lived through two months, to look at pages with.

Promise: it is made with the service's own acts and real Site Managers on a simulated clock, and only ever in a database
that was laid for it: `tidemark up` and the pictures stand on it, no deployment can.
"""

from ops.sample.making import Sample, make_sample

__all__ = ["Sample", "make_sample"]
