# Amazon MQ for RabbitMQ, three nodes in three zones. 4.x: every queue of ours is a quorum queue. Accounts and rights are
# made by infrastructure/provision, through the management API.

resource "aws_security_group" "this" {
  name        = "${var.name}-rabbitmq"
  description = "RabbitMQ, from the cluster only"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each                     = { amqps = 5671, management = 443 }
  security_group_id            = aws_security_group.this.id
  description                  = "${each.key} from the cluster"
  referenced_security_group_id = var.client_security_group
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_mq_broker" "this" {
  # checkov:skip=CKV_AWS_48:RabbitMQ's brokers have general logs only, and those are on; audit logs are ActiveMQ's
  # checkov:skip=CKV_AWS_209:a key of one's own is for ActiveMQ only; RabbitMQ's volumes are encrypted with a key of AWS
  broker_name                = var.name
  engine_type                = "RabbitMQ"
  engine_version             = var.engine_version
  host_instance_type         = var.instance_type
  deployment_mode            = "CLUSTER_MULTI_AZ"
  publicly_accessible        = false
  auto_minor_version_upgrade = true
  apply_immediately          = false
  subnet_ids                 = var.subnet_ids
  security_groups            = [aws_security_group.this.id]

  logs {
    general = true
  }

  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "03:00"
    time_zone   = "UTC"
  }

  user {
    username = "administrator"
    password = var.first_password
  }

  lifecycle {
    prevent_destroy = true   # Amazon MQ has no deletion protection, and no backup
    ignore_changes  = [user] # it is changed by hand, through the management API; here it would make a new broker
  }
}
