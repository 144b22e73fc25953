"""Live partition mobility: the jobs MigrateValidate, Migrate, MigrateAbort and MigrateRecover of a LogicalPartition.

A migration makes a shell of the partition on the target system, copies memory in steps of ten percent, switches at SWITCH,
and removes the source. Until the switch the source is the partition and the shell is thrown away on every ending; from
then on the shell is the partition and the source is what is left to remove. When the connection to either system is lost
in between, both sides stay as they are, with the MigrationState Migration_Failed, until MigrateRecover.
"""
import copy

from .world import Thing
from .xmlout import Refusal

STEP, SWITCH = 10, 90
IDLE, STARTING, RUNNING, FAILED = "Not_Migrating", "Migration_Starting", "Migration_In_Progress", "Migration_Failed"
KNOWN = set(
    "TargetManagedSystemName TargetRemoteHMCIPAddress TargetRemoteHMCUserID DestinationLparID TargetProfileName RedundantVIOS "
    "MultipathIOOverride VLANBridgeOverride VSIOverride ProtectStorage VirtualFCMappings VirtualSCSIMappings SourceMSPID "
    "SourceMSPIPaddr DestMSPID DestMSPIPaddr SharedProcPoolID PrimaryRSViosID DetailedLevel WaitTime SourceMSPName DestMSPName "
    "SharedProcPoolName UseCurrData Affinity".split())


def refuse(code, text):
    return Refusal(500, "REST0126", code + " " + text)


class Migrations:
    """The operations of jobs.py on a partition; the world's lock, which all consoles share, is held in each."""

    def __init__(self, world):
        self.world = world

    # who takes part

    def target_world(self, parameters):
        """The console that manages the target: this one, or the one at that address that knows this user."""
        address, user = parameters.get("TargetRemoteHMCIPAddress"), parameters.get("TargetRemoteHMCUserID")
        if not address:
            return self.world
        world = next((w for w in self.world.consoles if w.address == address), None)
        if world is None or world is self.world:
            raise refuse("HSCLA207", "The remote management console %s cannot be reached." % address)
        if user != world.options.user:  # what ssh keys set up by mkauthkeys would not know
            raise refuse("HSCLA208", "The user %s is not authenticated at the management console %s." % (user, address))
        return world

    def target_system(self, partition, parameters):
        unknown = set(parameters) - KNOWN
        if unknown:
            raise refuse("HSCLA200", "Unknown parameters: %s." % ", ".join(sorted(unknown)))
        name, world = parameters.get("TargetManagedSystemName", ""), self.target_world(parameters)
        system = next((s for s in world.systems.values() if s.name == name), None)
        if system is None:
            raise refuse("HSCLA209", "The managed system %s was not found at the destination." % name)
        if system is partition.system:
            raise refuse("HSCLA20A", "The source and the destination managed system are the same.")
        return world, system

    def busy(self, system, active):
        return sum(1 for p in system.world.on(system) if p.migration and p.migration.active == active)

    # validation: everything that a start would refuse

    def check(self, partition, parameters):
        world, system = self.target_system(partition, parameters)
        active = partition.state != "not activated"
        if partition.migration or world.incoming(system, partition.uuid):
            raise refuse("HSCLA210", "The partition %s is being migrated already." % partition.name)
        if partition.state not in ("running", "not activated"):
            raise refuse("HSCLA211", "The partition %s cannot be migrated in its state %s." % (partition.name, partition.state))
        for side in (partition.system, system):
            if not side.link:
                raise refuse("HSCLA212", "There is no connection to the managed system %s." % side.name)
            if self.busy(side, active) >= side.migrations:
                raise refuse("HSCLA213", "The managed system %s supports at most %d %s migrations at once." %
                             (side.name, side.migrations, "active" if active else "inactive"))
        if active and partition.physical:
            raise refuse("HSCLA219", "The partition %s has physical adapters." % partition.name)
        if active and partition.rmc != "active":
            raise refuse("HSCLA246", "The management console cannot communicate with partition %s." % partition.name)
        taken = [p.name for p in world.on(system)] + [s.name for s in world.servers.values() if s.system is system]
        if partition.name in taken:
            raise refuse("HSCL05DE", "The logical partition name %s already exists." % partition.name)
        self.check_hardware(partition, system, world, active)
        self.check_network(partition, system)
        return world, system, self.routes(partition, world, system)

    def check_hardware(self, partition, system, world, active):
        if system.state != "operating":
            raise refuse("HSCLA214", "The managed system %s is in the state %s." % (system.name, system.state))
        if system.region != partition.system.region:
            raise refuse("HSCLA215", "The memory region sizes of the managed systems differ: %d and %d MB." %
                         (partition.system.region, system.region))
        mode = partition.mode if active else "default"
        if mode not in system.modes:
            raise refuse("HSCLA216", "The managed system %s does not support the processor compatibility mode %s." %
                         (system.name, mode))
        if active:
            world.check_room(system, partition.memory, partition.processors if partition.dedicated else partition.units)
        for side in (partition.system, system):
            if active and not any(s.mover for s in side.world.servers.values() if s.system is side):
                raise refuse("HSCLA217", "The managed system %s has no mover service partition." % side.name)

    def check_network(self, partition, system):
        for adapter in partition.adapters.values():
            if not any(n.vlan == adapter.vlan for n in system.networks.values()):
                raise refuse("HSCLA218", "The VLAN %d is not bridged on the managed system %s." % (adapter.vlan, system.name))

    def routes(self, partition, world, system):
        """For each mapping of the partition the target's server that takes it over."""
        result, used = [], set()
        for mapping in self.mappings(partition):
            if not hasattr(mapping.storage, "udid"):
                raise refuse("HSCLA24E", "The disk %s is local to its Virtual I/O Server and cannot be migrated." %
                             mapping.storage.name)
            hosts = [s for s in mapping.storage.pool.nodes if s.system is system and (s, mapping.storage) not in used]
            if not hosts:
                raise refuse("HSCLA24E", "The virtual SCSI adapter %d cannot be hosted by the existing Virtual I/O Server "
                             "partitions on the destination managed system." % mapping.client_slot)
            used.add((hosts[0], mapping.storage))
            result.append((hosts[0], mapping))
        return result

    def mappings(self, partition):
        return [m for s in partition.system.world.servers.values() for m in s.mappings if m.partition is partition]

    # the jobs

    def validate(self, partition, parameters):
        self.check(partition, parameters)
        return 1, lambda: self.check(partition, parameters)

    def start(self, partition, parameters, job):
        world, system, routes = self.check(partition, parameters)
        shell = copy.copy(partition)
        shell.system, shell.number = system, world.take_id(system)
        shell.adapters = {k: copy.copy(a) for k, a in partition.adapters.items()}
        for adapter in shell.adapters.values():
            adapter.switch = system.switch
        move = Thing(source=partition, shell=shell, active=partition.state != "not activated", job=job, percent=0, held=False,
                     was=partition.state, over=None, plan=self.world.plans.pop(partition.name, None))
        partition.migration = shell.migration = move
        system.shells.append(shell)
        for server, mapping in routes:
            server.mappings.append(Thing(partition=shell, client_slot=mapping.client_slot, server_slot=server.next_slot,
                                         host="vhost%d" % server.next_slot, storage=mapping.storage))
            server.next_slot += 1
        self.show(move, "migrating running" if move.active else "migrating not active", STARTING)
        world.tell("ADD_URI", shell)
        self.later(move)

    def show(self, move, state, word):
        for side in (move.source, move.shell):
            side.state, side.migration_state = state, word
            side.system.world.tell("MODIFY_URI", side, "PartitionState,Other")

    def later(self, move):
        steps = 100 / STEP
        self.world.scheduler.after(self.world.options.migrate_seconds / steps, lambda: self.step(move))

    def step(self, move):
        if move.over or move.held or move.source.migration_state == FAILED:
            return
        if not (move.source.system.link and move.shell.system.link):
            self.lose(move)
            return
        move.percent += STEP
        if move.source.migration_state == STARTING:
            self.show(move, move.source.state, RUNNING)
        if move.plan and move.percent >= move.plan["at"]:
            how, move.plan = move.plan["how"], None
            if how == "hold":
                move.held = True
                return
            if how == "lost" or move.percent >= SWITCH:
                move.source.system.link = move.source.system.link and how != "lost"
                self.lose(move)
                return
            self.roll_back(move)
            self.finish_job(move, "HSCLA2CF The migration of the partition %s failed at %d %%." %
                            (move.source.name, move.percent))
            return
        if move.percent >= 100:
            self.complete(move)
            self.finish_job(move, None)
            return
        self.later(move)

    def finish_job(self, move, error):
        self.world.end_job(move.job, error)

    def lose(self, move):
        """Nobody knows; both sides stay as they are."""
        self.show(move, move.source.state, FAILED)
        self.finish_job(move, "HSCLA27F The connection was lost during the migration of the partition %s at %d %%. Recover it." %
                        (move.source.name, move.percent))

    def resume(self, partition):
        if partition.migration and partition.migration.held:
            partition.migration.held = False
            self.later(partition.migration)

    # endings

    def forget_mappings(self, partition):
        for server in partition.system.world.servers.values():
            server.mappings[:] = [m for m in server.mappings if m.partition is not partition]

    def drop_shell(self, move):
        shell = move.shell
        if shell in shell.system.shells:
            shell.system.shells.remove(shell)
            self.forget_mappings(shell)
            shell.system.world.tell("DELETE_URI", shell)

    def free(self, partition, state):
        partition.migration, partition.migration_state, partition.state = None, IDLE, state
        partition.system.world.tell("MODIFY_URI", partition, "PartitionState,Other")

    def roll_back(self, move, everywhere=True):
        move.over = "source"
        self.free(move.source, move.was)
        if everywhere:
            self.drop_shell(move)

    def drop_source(self, move):
        source = move.source
        if source.system.world.partitions.get(source.uuid) is source:
            del source.system.world.partitions[source.uuid]
            self.forget_mappings(source)
            source.system.world.tell("DELETE_URI", source)
        self.settle_shell(move)

    def settle_shell(self, move):
        """The shell is the partition from now on; under one console it takes the source's place in the list."""
        shell = move.shell
        if shell in shell.system.shells and shell.system.world.partitions.get(shell.uuid) is None:
            shell.system.shells.remove(shell)
            shell.system.world.partitions[shell.uuid] = shell

    def complete(self, move, everywhere=True):
        move.over = "target"
        self.free(move.shell, move.was)
        if everywhere:
            self.drop_source(move)
        self.settle_shell(move)
        if move.active and move.shell.system.world is not move.source.system.world:  # the agent finds its new console
            move.shell.rmc, boot = "inactive", move.shell.boots
            self.world.scheduler.after(self.world.options.rmc_seconds,
                                       lambda: move.shell.system.world.connect(move.shell, boot))

    def abort(self, partition, parameters):
        move = partition.migration
        if move is None or partition is not move.source:
            raise refuse("HSCLA220", "The partition %s is not the source of a migration." % partition.name)
        if move.percent >= SWITCH or partition.migration_state == FAILED:
            raise refuse("HSCLA221", "The migration of the partition %s cannot be stopped any more." % partition.name)

        def finish():
            if partition.migration is not move or move.percent >= SWITCH:
                raise refuse("HSCLA221", "The migration of the partition %s cannot be stopped any more." % partition.name)
            self.roll_back(move)
            self.finish_job(move, "HSCLA222 The migration of the partition %s was stopped." % partition.name)
        return 1, finish

    def recover(self, partition, parameters):
        move, forced = partition.migration, (parameters.get("Force") or parameters.get("force")) == "true"
        if move is None or partition.migration_state != FAILED:
            raise refuse("HSCLA230", "The partition %s is not in a state that needs to be recovered." % partition.name)
        if not forced:
            self.check_remote(partition, move, parameters)
        linked = move.source.system.link and move.shell.system.link
        if not linked and not forced and not move.over:
            raise refuse("HSCLA231", "The other managed system of the migration cannot be reached.")

        def finish():
            end = move.over or ("target" if move.percent >= SWITCH else "source")
            if end == "source":
                if partition is move.source or linked:
                    self.roll_back(move, linked)
                if partition is move.shell:
                    self.drop_shell(move)
            else:
                if partition is move.shell or linked:
                    self.complete(move, linked)
                if partition is move.source:
                    self.drop_source(move)
        return 1, finish

    def check_remote(self, partition, move, parameters):
        """A recovery between two consoles names the other one, as the migration did."""
        other = move.shell if partition is move.source else move.source
        if other.system.world is not self.world and self.target_world(parameters) is not other.system.world:
            raise refuse("HSCLA232", "The migration was to another management console.")
