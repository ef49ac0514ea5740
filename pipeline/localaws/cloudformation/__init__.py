"""CloudFormation of the local AWS: templates decided on, resources made through their own services' APIs."""
