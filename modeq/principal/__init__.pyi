"""The public names of modeq.principal and where they are."""

from .adjusted_rates import dal as dal
from .adjusted_rates import drift as drift
from .adjusted_rates import run_dal as run_dal
from .adjusted_rates import run_drift as run_drift
from .central import CentralTrajectory as CentralTrajectory
from .central import central_flow as central_flow
from .flow import PrincipalFlow as PrincipalFlow
from .flow import principal_flow as principal_flow
from .flow_comparison import RateComparison as RateComparison
from .flow_comparison import compare_flows as compare_flows
from .flow_comparison import compare_rates as compare_rates
from .large import PrincipalValue as PrincipalValue
from .large import principal_value as principal_value
from .large import top_eigenpairs as top_eigenpairs
from .regimes import StabilityRegimes as StabilityRegimes
from .regimes import stability_regimes as stability_regimes
from .stability import StabilityReport as StabilityReport
from .stability import stability_report as stability_report
from .tall_part import certify_tall as certify_tall
from .tall_part import principal_part as principal_part
