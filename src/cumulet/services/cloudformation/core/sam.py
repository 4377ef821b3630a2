"""The transform AWS::Serverless-2016-10-31, by AWS's own translator, which is imported when first needed."""

import copy
import logging
from collections.abc import Mapping
from typing import Any

from cumulet.errors import NotImplementedHere
from cumulet.services.cloudformation.core.errors import validation_error

_log = logging.getLogger(__name__)

SERVERLESS = "AWS::Serverless-2016-10-31"
SECTIONS = frozenset({"Globals"})


def translate(raw: Mapping[str, Any], parameters: Mapping[str, Any], region: str) -> dict[str, Any]:
    """Return the CloudFormation template that a SAM template stands for. Takes a second the first time.

    Raises ValidationError with the translator's words. No AWS account is asked for anything: managed policies are known
    by the list that comes with the translator.
    """
    _refuse_applications(raw)
    _refuse_gradual_deployments(raw)
    import boto3
    import botocore.session
    from samtranslator.internal.managed_policies import get_bundled_managed_policy_map
    from samtranslator.metrics.metrics import DummyMetricsPublisher, Metrics
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    # The translator asks the session for its region and partition only. It must not find the user's own AWS profile.
    nowhere = (None, None, None, None)
    core = botocore.session.Session({"profile": nowhere, "config_file": (None, None, "/dev/null", None)})
    session = boto3.Session(
        region_name=region, aws_access_key_id="unused", aws_secret_access_key="unused", botocore_session=core
    )
    # The translator counts what it does, and warns unless somebody takes the counts.
    metrics = Metrics("cumulet", DummyMetricsPublisher())
    translator = Translator(managed_policy_map=None, sam_parser=Parser(), boto_session=session, metrics=metrics)
    try:
        translated: dict[str, Any] = translator.translate(
            copy.deepcopy(dict(raw)),
            parameter_values=dict(parameters),
            get_managed_policy_map=lambda: get_bundled_managed_policy_map("aws") or {},
        )
    except InvalidDocumentException as refusal:
        reasons = " ".join([refusal.message, *sorted(cause.message for cause in refusal.causes)])
        raise validation_error(f"Transform {SERVERLESS} failed with: {reasons}") from None
    except (AttributeError, LookupError, TypeError, ValueError):
        # The translator stumbles over some malformed templates. These words, and no others, are AWS's:
        # https://github.com/aws/serverless-application-model/issues/10
        _log.warning("the SAM translator failed", exc_info=True)
        raise validation_error(f"Transform {SERVERLESS} failed with: Internal transform failure.") from None
    finally:
        metrics.publish()
    translated.pop("Transform", None)
    return translated


def _refuse_applications(raw: Mapping[str, Any]) -> None:
    """Raise NotImplementedHere for applications of AWS's repository: the translator would ask AWS itself for them."""
    resources = raw.get("Resources")
    for resource in resources.values() if isinstance(resources, Mapping) else ():
        if isinstance(resource, Mapping) and resource.get("Type") == "AWS::Serverless::Application":
            properties = resource.get("Properties")
            location = properties.get("Location") if isinstance(properties, Mapping) else None
            if not isinstance(location, str):
                raise NotImplementedHere(
                    "AWS::Serverless::Application of the Serverless Application Repository (fetch its template, and"
                    " name that as the Location)"
                )


def _refuse_gradual_deployments(raw: Mapping[str, Any]) -> None:
    """Raise NotImplementedHere, with the name that the template has, for what would become CodeDeploy's business."""
    resources = raw.get("Resources")
    found = [(raw.get("Globals") or {}).get("Function")] if isinstance(raw.get("Globals"), Mapping) else []
    if isinstance(resources, Mapping):
        found += [one.get("Properties") for one in resources.values() if isinstance(one, Mapping)]
    for properties in found:
        preference = properties.get("DeploymentPreference") if isinstance(properties, Mapping) else None
        if isinstance(preference, Mapping) and str(preference.get("Enabled", True)).lower() == "true":
            raise NotImplementedHere("DeploymentPreference (gradual deployments by CodeDeploy)")
