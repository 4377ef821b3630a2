"""Resource types that AWS has and nobody here makes: refused by their names, where others are not recognized.

Of services that are not here the names suffice. Of those that are here, these are the types that are not.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

import re

_SERVICES = (
    "AppConfig AppRunner AppSync ApplicationAutoScaling Athena AutoScaling Backup Batch Bedrock BedrockAgentCore"
    " Budgets CDK CertificateManager CloudFront CloudTrail CloudWatch CodeBuild CodeDeploy"
    " CodePipeline Cognito DSQL DocDB EC2 ECR ECS EFS EKS ElastiCache ElasticLoadBalancing ElasticLoadBalancingV2"
    " Elasticsearch EventSchemas Events FIS Glue GuardDuty IoT KMS Kinesis KinesisAnalyticsV2 KinesisFirehose"
    " LakeFormation Lex Location MSK MediaConvert MemoryDB Neptune OpenSearchServerless OpenSearchService Pinpoint"
    " Pipes QLDB QuickSight RDS Redshift RedshiftServerless ResourceGroups Route53 Route53Resolver SES SNS SQS SSM"
    " SageMaker Scheduler SecretsManager SecurityHub ServiceCatalog ServiceDiscovery StepFunctions Synthetics"
    " Timestream Transfer VpcLattice WAF WAFRegional WAFv2 XRay"
)
_TYPES = {
    "ApiGateway": "BasePathMappingV2 DomainNameAccessAssociation DomainNameV2 VpcLink",
    "ApiGatewayV2": "ApiGatewayManagedOverrides Deployment IntegrationResponse Model RouteResponse VpcLink",
    "CloudFormation": "GuardHook HookDefaultVersion HookTypeConfig HookVersion LambdaHook Macro"
    " ModuleDefaultVersion ModuleVersion PublicTypeVersion Publisher ResourceDefaultVersion ResourceVersion StackSet"
    " TypeActivation WaitCondition WaitConditionHandle",
    "DynamoDB": "GlobalTable",
    "IAM": "Group GroupPolicy InstanceProfile OIDCProvider SAMLProvider ServerCertificate ServiceLinkedRole"
    " UserToGroupAddition VirtualMFADevice",
    "Lambda": "CapacityProvider EventSourceMapping",
    "Logs": "AccountPolicy Delivery DeliveryDestination DeliverySource Destination Integration LogAnomalyDetector"
    " LogStream MetricFilter QueryDefinition ResourcePolicy SubscriptionFilter Transformer",
    "S3": "AccessGrant AccessGrantsInstance AccessGrantsLocation AccessPoint MultiRegionAccessPoint"
    " MultiRegionAccessPointPolicy StorageLens StorageLensGroup",
}


_CUSTOM = re.compile(r"Custom::[A-Za-z0-9_@-]{1,60}")


def is_custom(name: str) -> bool:
    """Return whether a type is a custom resource under a name of its own."""
    return _CUSTOM.fullmatch(name) is not None


def is_elsewhere(name: str) -> bool:
    """Return whether AWS knows a type that is not built."""
    match name.split("::"):
        case ["AWS", service, kind]:
            return service in _SERVICES.split() or kind in _TYPES.get(service, "").split()
    return False
