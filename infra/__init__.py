"""The CDK app, its constructs and everything that deploys it."""
