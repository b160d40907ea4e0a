variable "name" {
  description = "The repository's name."
  type        = string
}

variable "key_arn" {
  description = "Key for the images."
  type        = string
}
