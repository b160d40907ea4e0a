output "host" {
  description = "Where it listens, on 5671 with TLS."
  value       = split(":", split("//", aws_mq_broker.this.instances[0].endpoints[0])[1])[0]
}

output "management_url" {
  description = "The management API."
  value       = aws_mq_broker.this.instances[0].console_url
}
