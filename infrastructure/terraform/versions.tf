terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }
  # The state holds the broker's first password: keep it in an encrypted bucket that few can read.
  # `terraform init -backend-config=FILE` says which.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { system = var.name, managed_by = "terraform" }
  }
}
