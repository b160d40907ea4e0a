# One secret for each process, named as the process, filled by hand (infrastructure/kubernetes/README.md): no value ever
# passes through Terraform's state. The External Secrets operator reads them in the name of one service account, which
# may read these and nothing else.

resource "aws_secretsmanager_secret" "process" {
  # checkov:skip=CKV2_AWS_57:a rotation has to change the server's account too; infrastructure/provision does both
  for_each                = toset(var.processes)
  name                    = "${var.name}/${each.value}"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 30
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    resources = [for secret in aws_secretsmanager_secret.process : secret.arn]
  }
  statement {
    actions   = ["kms:Decrypt"]
    resources = [var.key_arn]
  }
}

resource "aws_iam_role" "reader" {
  name               = "${var.name}-secrets"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "reader" {
  name   = "read"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.read.json
}

resource "aws_eks_pod_identity_association" "reader" {
  cluster_name    = var.cluster_name
  namespace       = "external-secrets"
  service_account = "external-secrets"
  role_arn        = aws_iam_role.reader.arn
}
