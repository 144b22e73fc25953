"""Asynchronous operations: each takes its time, is polled, cancelled and deleted, and fails inside a 200 answer."""
import time
import uuid

from .migration import Migrations
from .schema import text_of
from .xmlout import Refusal, entry, leaf, part, payload, ref
from .world import Thing

FINAL = {"COMPLETED_OK", "COMPLETED_WITH_ERROR", "FAILED_BEFORE_COMPLETION", "CANCELED_BEFORE_START",
         "CANCELED_WHILE_RUNNING"}


class Jobs:
    """`operations`: (type, operation name) -> function(target, parameters) -> (seconds factor, begin, finish)."""

    def __init__(self, world):
        self.world, self.migrations = world, Migrations(world)
        world.end_job = self.end_migration
        self.operations = {
            ("LogicalPartition", "MigrateValidate"): self.migrations.validate,
            ("LogicalPartition", "MigrateAbort"): self.migrations.abort,
            ("LogicalPartition", "MigrateRecover"): self.migrations.recover, ("LogicalPartition", "Migrate"): None,
            ("LogicalPartition", "PowerOn"): self.power_on, ("LogicalPartition", "PowerOff"): self.power_off,
            ("Cluster", "CreateLogicalUnit"): self.create_unit, ("Cluster", "DeleteLogicalUnit"): self.delete_unit,
            ("Cluster", "GrowLogicalUnit"): self.grow_unit}

    def template(self, kind, operation):
        if (kind, operation) not in self.operations:
            raise Refusal(400, "REST0124", "The operation %s is not known for %s." % (operation, kind))
        root = payload("JobRequest", self.request_body(kind, operation, {}), space="web")
        return entry("JobRequest", str(uuid.uuid4()), [], root, None, space="web")

    def request_body(self, kind, operation, parameters):
        return [part("RequestedOperation", [leaf("OperationName", operation), leaf("GroupName", kind)], kb="CUR"),
                part("JobParameters", [part("JobParameter", [leaf("ParameterName", k), leaf("ParameterValue", v)], kb=None)
                                       for k, v in parameters.items()], kb="CUR")]

    def start(self, kind, target, ident, operation, request):
        if (kind, operation) not in self.operations:
            raise Refusal(400, "REST0124", "The operation %s is not known for %s." % (operation, kind))
        asked = text_of(request, "RequestedOperation", "OperationName")
        if asked != operation:
            raise Refusal(400, "REST0125", "The request names the operation %s, its address %s." % (asked, operation))
        parameters = {text_of(p, "ParameterName"): text_of(p, "ParameterValue") or ""
                      for p in (request.get("JobParameters") or [{}])[0].get("JobParameter", [])}
        job = Thing(id=str(next(self.world.job_numbers)), kind=kind, target=target, ident=ident, operation=operation,
                    parameters=parameters, status="NOT_STARTED", begun=0, done=0, error=None, finish=None,
                    doomed=self.world.failing_jobs > 0)
        if job.doomed:
            self.world.failing_jobs -= 1
        self.world.jobs[job.id] = job
        self.world.scheduler.after(self.world.options.job_seconds / 5, lambda: self.begin(job))
        return job

    def begin(self, job):
        if job.status in FINAL:
            return
        job.begun = int(time.time() * 1000)
        job.status = "RUNNING"
        try:
            if job.doomed:
                raise Refusal(500, "REST0126", "HSCL9999 The job was made to fail.")
            if job.operation == "Migrate":  # ends by itself, when the migration does
                self.migrations.start(job.target, job.parameters, job)
                return
            factor, job.finish = self.operations[job.kind, job.operation](job.target, job.parameters)
        except Refusal as refusal:
            self.end(job, "COMPLETED_WITH_ERROR", refusal.message)
            return
        self.world.scheduler.after(self.world.options.job_seconds * factor, lambda: self.complete(job))

    def complete(self, job):
        if job.status in FINAL:
            if job.operation in ("PowerOn", "PowerOff"):  # cancelled, but the hypervisor goes on with what it began
                job.finish()
            return
        try:
            job.finish()
            self.end(job, "COMPLETED_OK", None)
        except Refusal as refusal:
            self.end(job, "COMPLETED_WITH_ERROR", refusal.message)

    def end_migration(self, job, error):
        if job.status not in FINAL:
            self.end(job, "COMPLETED_WITH_ERROR" if error else "COMPLETED_OK", error)

    def end(self, job, status, error):
        job.status, job.error, job.done = status, error, int(time.time() * 1000)

    def cancel(self, job):
        if job.status not in FINAL:
            self.end(job, "CANCELED_BEFORE_START" if job.status == "NOT_STARTED" else "CANCELED_WHILE_RUNNING", None)

    def view(self, job):
        children = [ref("RequestURL", "%s/%s/do/%s" % (job.kind, job.ident, job.operation), "ROR"),
                    leaf("TargetUuid", job.ident), leaf("JobID", job.id), leaf("TimeStarted", job.begun),
                    leaf("TimeCompleted", job.done), leaf("Status", job.status),
                    part("JobRequestInstance", self.request_body(job.kind, job.operation, job.parameters), kb="ROR")]
        results = [("returnCode", "0" if job.status == "COMPLETED_OK" else "1")] if job.status in FINAL else []
        if job.error:
            results.append(("result", job.error))
        children.append(part("Results", [part("JobParameter", [leaf("ParameterName", k), leaf("ParameterValue", v)], kb=None)
                                         for k, v in results], kb="ROR"))
        # a real HMC's SELF of a job is not to be trusted: clients build the address from JobID
        return entry("JobResponse", str(uuid.uuid4()), [self.world.base + "/rest/api/uom/nulljobs/" + job.id],
                     payload("JobResponse", children, space="web"), None, space="web")

    # what each operation does: (share of --job-seconds, what happens at the end)

    def power_on(self, partition, parameters):
        self.world.power_on(partition)
        return 1, lambda: self.world.booted(partition)

    def power_off(self, partition, parameters):
        operation = parameters.get("operation", "shutdown")
        if partition.migration:
            raise Refusal(500, "REST0126", "HSCLA210 The partition %s is being migrated." % partition.name)
        if partition.state == "not activated":
            raise Refusal(500, "REST0126", "HSCL1558 The partition %s is already powered off." % partition.name)
        if operation == "osshutdown" and partition.rmc != "active":
            raise Refusal(500, "REST0126", "HSCL0DB4 The operating system of %s cannot be asked: no RMC connection." %
                          partition.name)
        restart = parameters.get("restart") == "true"
        self.world.set_state(partition, "shutting down", "00000000")
        factor = 1 if parameters.get("immediate") == "true" else self.world.options.shutdown_factor

        def finish():
            self.world.set_state(partition, "not activated", "00000000")
            if restart:
                self.world.power_on(partition)
                self.world.booted(partition)
        return factor, finish

    def pool_of(self, cluster):
        return next(p for p in self.world.pools.values() if p.cluster == cluster)

    def unit_of(self, pool, udid):
        for unit in pool.units:
            if unit.udid == udid:
                return unit
        raise Refusal(500, "REST0126", "VIOS01010430-0130 There is no logical unit with the id %s." % udid)

    def create_unit(self, cluster, parameters):
        pool = self.pool_of(cluster)
        name, kind = parameters.get("LUName", ""), parameters.get("DeviceType", "VirtualIO_Disk")
        if not name or len(name) > 79:
            raise Refusal(500, "REST0126", "VIOS01010430-0140 The name of the logical unit is not valid.")
        if kind not in ("VirtualIO_Disk", "VirtualIO_Image") or parameters.get("LUType") not in ("THIN", "THICK"):
            raise Refusal(500, "REST0126", "VIOS01010430-0141 LUType or DeviceType is not valid.")
        source = parameters.get("ClonedFrom") or None
        try:
            size = float(parameters.get("LUSize", ""))
        except ValueError:
            raise Refusal(500, "REST0126", "VIOS01010430-0142 LUSize is not a number.") from None
        if source:
            size = max(size, self.unit_of(pool, source).size)
        if size <= 0:
            raise Refusal(500, "REST0126", "VIOS01010430-0142 LUSize must be above zero.")
        thin = parameters["LUType"] == "THIN"
        return 1, lambda: self.world.make_unit(pool, name, size, kind, thin, source)

    def delete_unit(self, cluster, parameters):
        pool = self.pool_of(cluster)
        unit = self.unit_of(pool, parameters.get("LogicalUnitUDID"))

        def finish():
            if self.world.users_of(unit):
                raise Refusal(500, "REST0126", "VIOS01010430-0150 The logical unit %s is in use." % unit.name)
            if any(u.cloned_from == unit.udid for u in pool.units):
                raise Refusal(500, "REST0126", "VIOS01010430-0151 The logical unit %s has clones." % unit.name)
            if unit in pool.units:
                pool.units.remove(unit)
        return 1, finish

    def grow_unit(self, cluster, parameters):
        unit = self.unit_of(self.pool_of(cluster), parameters.get("LogicalUnitUDID"))
        try:
            size = float(parameters.get("Capacity", ""))
        except ValueError:
            raise Refusal(500, "REST0126", "VIOS01010430-0142 Capacity is not a number.") from None
        if size < unit.size:
            raise Refusal(500, "REST0126", "VIOS01010430-0143 A logical unit can only grow.")

        def finish():
            unit.size = size
        return 1, finish
