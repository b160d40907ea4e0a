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

variable "instance_type" {
  description = "Amazon MQ instance type."
  type        = string
}

variable "engine_version" {
  description = "RabbitMQ's version, major and minor."
  type        = string
  default     = "4.2"
}

variable "first_password" {
  description = "The administrator's password until it is changed by hand."
  type        = string
  sensitive   = true
}
