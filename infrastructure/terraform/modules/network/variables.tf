variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network; a /16."
  type        = string
}

variable "key_arn" {
  description = "Key for the log."
  type        = string
}

variable "zones" {
  description = "The three availability zones, by name: a new one of the region must not move what is there."
  type        = list(string)
}
