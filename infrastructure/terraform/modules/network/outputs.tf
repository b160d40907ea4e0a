output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Where the cluster lives, one for each zone."
  value       = aws_subnet.private[*].id
}

output "server_subnet_ids" {
  description = "Where the servers live, one for each zone."
  value       = aws_subnet.servers[*].id
}

output "server_cidrs" {
  description = "The servers' addresses."
  value       = aws_subnet.servers[*].cidr_block
}
