"""The faults of a campaign. Each is one function: it injects, ends what it injected, and returns the jobs that must move on elsewhere."""

from collections.abc import Callable

from runner import Settings
from tests.chaos.campaign import network_faults, process_faults, server_faults
from tests.chaos.campaign.arena import Fault, Inject, crash, reconnect, succession
from tests.chaos.campaign.branch import faults as branch_faults

_Row = tuple[Inject, int, Callable[[Settings], float]]
_FAMILIES: dict[str, list[_Row]] = {
    "worker": [
        (process_faults.kill_worker, 6, crash),
        (process_faults.kill_leader, 4, succession),
        (process_faults.kill_half, 2, succession),
        (process_faults.stop_worker_past_its_lease, 4, reconnect),
        (process_faults.stop_leader_past_its_lease, 3, reconnect),
        (process_faults.stop_worker_briefly, 2, reconnect),
        (process_faults.replace_workers_in_turn, 2, reconnect),
        (process_faults.terminate_worker_twice, 2, reconnect),
        (process_faults.kill_children, 3, reconnect),
        (process_faults.deploy_to_some, 3, reconnect),
        (process_faults.deploy_new_version, 2, reconnect),
        (process_faults.deploy_old_version, 2, reconnect),
    ],
    "server": [
        (server_faults.kill_server, 5, reconnect),
        (server_faults.kill_server_thrice, 2, reconnect),
        (server_faults.hang_server, 2, reconnect),
        (server_faults.pause_clients, 2, reconnect),
        (server_faults.kill_clients, 3, reconnect),
        (server_faults.forget_scripts, 2, reconnect),
        (server_faults.forget_leader, 2, reconnect),
    ],
    "network": [
        (network_faults.cut_all, 4, reconnect),
        (network_faults.lose_replies, 5, reconnect),
        (network_faults.delay_all, 2, reconnect),
        (network_faults.trickle_one, 2, reconnect),
        (network_faults.half_close_one, 2, reconnect),
        (network_faults.freeze_connections_of_one, 3, crash),
        (network_faults.part_one_past_its_lease, 3, reconnect),
        (network_faults.part_all_briefly, 2, reconnect),
        (network_faults.part_all_past_their_leases, 2, reconnect),
    ],
    "taker": [
        (process_faults.kill_taker, 4, reconnect),
        (process_faults.kill_all_takers, 2, reconnect),
        (process_faults.stop_taker_past_its_lease, 3, reconnect),
    ],
    "producer": [(process_faults.kill_producer, 2, reconnect)],
    "branch": [
        (branch_faults.kill_branch_worker, 2, crash),
        (branch_faults.kill_branch_leader, 4, succession),
        (branch_faults.stop_branch_leader_past_its_lease, 3, reconnect),
        (branch_faults.kill_branch_server, 3, reconnect),
        (branch_faults.hang_branch_server, 2, reconnect),
        (branch_faults.part_branch_from_home, 4, reconnect),
        (branch_faults.lose_answers_of_home, 3, reconnect),
    ],
    "api": [(process_faults.kill_api, 1, reconnect)],
}

FAULTS: dict[str, Fault] = {
    fault.__name__: Fault(family, weight, bound_s, fault) for family, faults in _FAMILIES.items() for fault, weight, bound_s in faults
}
