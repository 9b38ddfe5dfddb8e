//! The machines of an AWS account in one region: EC2 instances by tag, and the members of tagged Auto Scaling groups.
