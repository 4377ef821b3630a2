"""`cumulet deploy` and `cumulet delete`: a change set, executed, with a line for each resource as it is done."""

import json
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from cumulet.cli.cdk import SUFFIX, find_template_of_cdk, members_of
from cumulet.cli.client import Connection, explain, is_error
from cumulet.cli.console import CliError, err, out
from cumulet.cli.packaging import package_template, read_template, upload_template
from cumulet.services.cloudformation.limits import TEMPLATE_BODY_BYTES_MAX

POLL_SECONDS = 0.1
TEMPLATE_NAMES = ("template.yaml", "template.yml", "template.json")
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
STACK_TYPE = "AWS::CloudFormation::Stack"
NO_CHANGES = ("The submitted information didn't contain changes", "No updates are to be performed")


def deploy_template(connection: Connection, source: Path, stack_name: str | None, parameters: list[str]) -> None:
    """Create or update the stack of a template, and print its outputs. Raises CliError with the reason if it fails."""
    template_file = _find_template(source)
    of_cdk = template_file.name.endswith(SUFFIX)
    name = stack_name or (template_file.name.removesuffix(SUFFIX) if of_cdk else template_file.resolve().parent.name)
    template = read_template(template_file)
    out.print(f"Deploying [bold]{name}[/bold] to {connection.settings.endpoint}")
    packaged = package_template(connection, template, template_file.parent)
    began_at = time.monotonic()
    try:
        if not _execute(connection, name, packaged, _parameters(parameters)):
            out.print("Nothing has changed.")
        else:
            out.print(f"Done after {time.monotonic() - began_at:.1f} s.")
        _print_outputs(connection, name)
    except ClientError as error:
        raise CliError(explain(error)) from error


def delete_stack(connection: Connection, name: str) -> None:
    """Delete a stack, with a line for each resource. Raises CliError if there is none or it cannot be deleted."""
    cloudformation = connection.client("cloudformation")
    stack = _find_stack(cloudformation, name)
    if stack is None:
        raise CliError(f"there is no stack '{name}'")
    seen = {event["EventId"] for event in _events(cloudformation, stack["StackId"])}
    cloudformation.delete_stack(StackName=name)
    status = _watch(cloudformation, stack["StackId"], seen)
    if status != "DELETE_COMPLETE":
        raise CliError(f"the stack is {status}")


def _find_template(source: Path) -> Path:
    if source.is_file():
        return source
    for name in TEMPLATE_NAMES:
        if (source / name).is_file():
            return source / name
    if found := find_template_of_cdk(source):
        return found
    raise CliError(f"there is no template in {source.resolve()}: one of {', '.join(TEMPLATE_NAMES)}")


def _parameters(given: list[str]) -> list[dict[str, str]]:
    pairs = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise CliError(f"a parameter is Name=Value, not '{text}'")
        pairs.append({"ParameterKey": name, "ParameterValue": value})
    return pairs


def _execute(connection: Connection, name: str, template: dict[str, Any], parameters: list[dict[str, str]]) -> bool:
    """Make and execute a change set; return False if it would change nothing."""
    cloudformation = connection.client("cloudformation")
    stack = _find_stack(cloudformation, name)
    if stack is not None and stack["StackStatus"] == "ROLLBACK_COMPLETE":
        raise CliError(f"the stack {name} failed when it was created; remove it first: cumulet delete {name}")
    is_new = stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
    seen = set() if stack is None else {event["EventId"] for event in _events(cloudformation, stack["StackId"])}
    known = {parameter["ParameterKey"] for parameter in (stack or {}).get("Parameters", [])}
    kept = known - {parameter["ParameterKey"] for parameter in parameters}
    asked = members_of(template, "Parameters")
    previous = [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept) if key in asked]
    change_set = cloudformation.create_change_set(
        StackName=name,
        ChangeSetName=f"cumulet-{time.time_ns()}",
        ChangeSetType="CREATE" if is_new else "UPDATE",
        **_said(connection, json.dumps(template, default=str)),
        Parameters=[*parameters, *previous],
        Capabilities=CAPABILITIES,
    )
    described = _wait_for_change_set(cloudformation, change_set["Id"])
    if described["Status"] == "FAILED":
        reason = described.get("StatusReason", "")
        cloudformation.delete_change_set(ChangeSetName=change_set["Id"])
        if reason.startswith(NO_CHANGES):
            return False
        raise CliError(f"the template cannot be deployed: {reason}")
    cloudformation.execute_change_set(ChangeSetName=change_set["Id"])
    status = _watch(cloudformation, change_set["StackId"], seen)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise CliError(f"the stack is {status}; the first failure above says why")
    return True


def _said(connection: Connection, template: str) -> dict[str, str]:
    """Return the parameter that gives a template: what is too large for a request goes by way of S3."""
    if len(template.encode()) <= TEMPLATE_BODY_BYTES_MAX:
        return {"TemplateBody": template}
    return {"TemplateURL": upload_template(connection, template)}


def _wait_for_change_set(cloudformation: Any, change_set_id: str) -> dict[str, Any]:
    while True:
        described: dict[str, Any] = cloudformation.describe_change_set(ChangeSetName=change_set_id)
        if described["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
            return described
        time.sleep(POLL_SECONDS)


def _watch(cloudformation: Any, stack_id: str, seen: set[str]) -> str:
    """Print events as they come; return the status in which the stack comes to rest."""
    while True:
        # The status first: events that came with it are then in what is read after it.
        status = str(cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"])
        for event in reversed(_events(cloudformation, stack_id)):
            if event["EventId"] not in seen:
                seen.add(event["EventId"])
                _print_event(event)
                _print_failures_within(cloudformation, event)
        if not status.endswith("_IN_PROGRESS"):
            return status
        time.sleep(POLL_SECONDS)


def _print_event(event: dict[str, Any]) -> None:
    status = event["ResourceStatus"]
    if status.endswith("_IN_PROGRESS") and "ROLLBACK" not in status:
        return
    colour = "red" if "FAILED" in status or "ROLLBACK" in status else "green"
    out.print(f"  {status:<22}", style=colour, end=" ")
    out.print(f"{event['ResourceType']:<28} {event['LogicalResourceId']}", markup=False)
    if reason := event.get("ResourceStatusReason"):
        out.print(f"    {reason}", markup=False)


def _print_failures_within(cloudformation: Any, event: dict[str, Any]) -> None:
    """Print why a stack within the stack failed: its event tells no more than which of its resources did."""
    inner = event.get("PhysicalResourceId", "")
    if event["ResourceType"] != STACK_TYPE or inner == event["StackId"] or not inner.startswith("arn:"):
        return
    if event["ResourceStatus"] in ("CREATE_FAILED", "UPDATE_FAILED"):
        failed = [found for found in reversed(_events(cloudformation, inner)) if "FAILED" in found["ResourceStatus"]]
        for found in failed:
            _print_event(found)
            _print_failures_within(cloudformation, found)


def _events(cloudformation: Any, stack_id: str) -> list[dict[str, Any]]:
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    return [event for page in pages for event in page["StackEvents"]]


def _find_stack(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if is_error(error, "ValidationError"):
            return None
        raise CliError(explain(error)) from error
    return stack


def _print_outputs(connection: Connection, name: str) -> None:
    """Print the stack's outputs, and where its APIs answer on this machine."""
    cloudformation = connection.client("cloudformation")
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = stack.get("Outputs", [])
    if outputs:
        out.print("Outputs")
        for output in outputs:
            out.print(f"  {output['OutputKey']:<20} {output['OutputValue']}", markup=False)
    urls = list(_local_urls(connection, name))
    if urls:
        out.print("APIs on this machine")
        for logical_id, url in urls:
            out.print(f"  {logical_id:<20} {url}", markup=False)
    err.print(f"`cumulet logs --follow <function>` shows a log, `cumulet delete {name}` removes it all.", markup=False)


def _local_urls(connection: Connection, stack_name: str) -> list[tuple[str, str]]:
    cloudformation = connection.client("cloudformation")
    resources = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    base = f"{connection.settings.endpoint}/_aws/execute-api"
    urls = []
    for resource in resources:
        api_id = resource.get("PhysicalResourceId", "")
        if resource["ResourceType"] == "AWS::ApiGateway::RestApi":
            stages = [s["stageName"] for s in connection.client("apigateway").get_stages(restApiId=api_id)["item"]]
        elif resource["ResourceType"] == "AWS::ApiGatewayV2::Api":
            stages = [s["StageName"] for s in connection.client("apigatewayv2").get_stages(ApiId=api_id)["Items"]]
        elif resource["ResourceType"] == STACK_TYPE:
            urls += _local_urls(connection, api_id)
            continue
        else:
            continue
        # SAM makes a stage named Stage beside the one that is asked for.
        wanted = [stage for stage in stages if stage != "Stage"] or stages
        urls += [(resource["LogicalResourceId"], f"{base}/{api_id}/{stage}") for stage in wanted]
    return urls
