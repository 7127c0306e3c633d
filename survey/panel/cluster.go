package panel

// NumberOfCluster returns the permanent random number of a device's cluster in its stratum, which all devices of the
// cluster share, so that they are due in the same windows and answer the same statistic: [NumberOf] of "cluster:", the
// stratum's name, a zero byte and the cluster, which is the device's value of the attribute that makes the clusters. No
// device has such an identity. The stratum is part of it so that a value that stands in several strata is drawn in each
// independently. A device without a value is a cluster of its own and keeps its own number.
//
// Unlike [NumberOf] it allocates; a device asks for it once for each plan.
func NumberOfCluster(salt Salt, stratum, cluster, device string) Number {
	if cluster == "" {
		return NumberOf(salt, device)
	}
	return NumberOf(salt, "cluster:"+stratum+"\x00"+cluster)
}
