package flight

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// handleVersion is the first byte of a handle. A server that reads another one refuses it.
const handleVersion = 1

// handleOf is what stands for a statement in tickets and prepared statements: a version and the text. It needs no signature, since
// who shows one is admitted to whatever the text could ask, and the text is read anew.
func handleOf(text string) []byte { return append([]byte{handleVersion}, text...) }

// textOf is the statement of a handle.
func textOf(handle []byte) (string, error) {
	if len(handle) < 2 || handle[0] != handleVersion {
		return "", status.Error(codes.InvalidArgument, "the ticket is of no statement of this server; ask for the statement again")
	}
	return string(handle[1:]), nil
}
