"""The fault lab: records real streams on the deployed stack while something breaks, and judges."""
