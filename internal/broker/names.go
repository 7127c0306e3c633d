package broker

import "strconv"

// Partitions is the number of partitions of a cluster, fixed for its life: a device's partition is its key modulo this.
const Partitions = 64

// Streams and buckets. They belong to the servers alone; devices have no rights on them.
const (
	StreamReports    = "REPORTS"    // StoredBatch messages, quadrat.report.<partition>
	StreamResults    = "RESULTS"    // Result messages, quadrat.result.<ref>
	StreamDeadLetter = "DEADLETTER" // DeadLetter messages, quadrat.dead.<cause>
	StreamPartials   = "PARTIALS"   // handovers of shares, quadrat.partial.<share>; in a cluster only
	BucketPlans      = "PLANS"      // kappa.<ref>, cluster.secret, cluster.version
	BucketDevices    = "DEVICES"    // shard.<n>
	BucketCatalogs   = "CATALOGS"   // <share>: which catalog of a shared store is in force
)

// Buckets of a cluster.
const (
	BucketLeases      = "LEASES"      // who works: member.<node>, share.<n>, merger, keeper; a key vanishes with its lease
	BucketCheckpoints = "CHECKPOINTS" // which checkpoint of a part is the newest; its bytes are an object of the store of that name
	ObjectCheckpoints = "CHECKPOINTS"
)

// Subjects. The prefixes end with a dot and take one more token.
const (
	PrefixIn      = "quadrat.in."      // requests of devices with reports; the token is the device
	PrefixHello   = "quadrat.hello."   // requests of devices that announce themselves; the token is the device
	PrefixReport  = "quadrat.report."  // the token is the partition
	PrefixResult  = "quadrat.result."  // the token is the kappa's reference
	PrefixDead    = "quadrat.dead."    // the token is the cause
	PrefixPartial = "quadrat.partial." // the token is the share
	SubjectPlan   = "quadrat.plan"     // broadcast of new plans, core NATS only
)

// GroupIntake and GroupHello are the queue groups that share the devices' requests among servers.
const (
	GroupIntake = "quadrat-intake"
	GroupHello  = "quadrat-hello"
)

// ReportSubject is the subject of a partition's stored reports.
func ReportSubject(partition uint32) string {
	return PrefixReport + strconv.FormatUint(uint64(partition), 10)
}

// PartialSubject is the subject of a share's handovers.
func PartialSubject(share int) string { return PrefixPartial + strconv.Itoa(share) }

// ResultSubject is the subject of a kappa's results.
func ResultSubject(ref string) string { return PrefixResult + ref }

// DeadSubject is the subject of dead letters with this cause, a short fixed word.
func DeadSubject(cause string) string { return PrefixDead + cause }

// SubjectMark is the subject of marks in REPORTS: moments of the server's clock, which close windows at the same place
// of the stream in every replay.
const SubjectMark = PrefixReport + "clock"
