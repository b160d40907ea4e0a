variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the servers, one for each zone."
  type        = list(string)
}

variable "client_security_group" {
  description = "The group from which clients come."
  type        = string
}

variable "instance_class" {
  description = "RDS instance class."
  type        = string
}

variable "key_arn" {
  description = "Key for storage, backups and the first password."
  type        = string
}
