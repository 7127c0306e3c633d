package intake

// Check tells why a request that came on a device's subject would be rejected, as the cause of its dead letter; empty
// when it would be stored. It changes nothing.
func Check(device string, request []byte, devices Devices) (cause string) {
	var d decoder
	return string(d.decode(request, device, devices))
}
