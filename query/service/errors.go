package service

import (
	"context"
	"errors"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
)

// Code says what kind of fault an Error is.
type Code string

// The codes of an Error.
const (
	Invalid         Code = "invalid"         // the request breaks its law
	NotFound        Code = "not-found"       // no kappa or device of that name
	Exists          Code = "exists"          // the name belongs to another script
	TooMany         Code = "too-many"        // a bound of Config is reached
	Slow            Code = "slow"            // the reader fell behind and was dropped
	Unauthenticated Code = "unauthenticated" // no token, or a wrong one
	Unavailable     Code = "unavailable"     // what the call needs is not there now
)

// Error is the error type of this package. Compare its Code after errors.As.
type Error struct {
	Code    Code
	Message string
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// GRPCStatus lets the grpc packages see the code.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code.grpc(), e.Message) }

func (c Code) grpc() codes.Code {
	switch c {
	case Invalid:
		return codes.InvalidArgument
	case NotFound:
		return codes.NotFound
	case Exists:
		return codes.AlreadyExists
	case TooMany:
		return codes.ResourceExhausted
	case Slow:
		return codes.Aborted
	case Unauthenticated:
		return codes.Unauthenticated
	case Unavailable:
		return codes.Unavailable
	}
	return codes.Unknown
}

// statusOf is the one place where errors become what callers see: a gRPC status with details. What is nobody's
// business stays inside: known tells whether the error was meant for the caller.
func statusOf(err error) (st *status.Status, known bool) {
	var (
		own        *Error
		broken     *script.Error
		infeasible *plan.Infeasible
		unfit      *script.UnsupportedError
		passing    interface{ Again() bool }
	)
	switch {
	case errors.As(err, &own):
		return own.GRPCStatus(), true
	case errors.As(err, &broken):
		return withDetails(codes.InvalidArgument, broken.Error(), &quadratv1.ScriptError{
			Line: uint32(max(broken.Line, 0)), Column: uint32(max(broken.Column, 0)),
			Message: broken.Message, Hint: broken.Hint,
		}), true
	case errors.As(err, &infeasible):
		return withDetails(codes.FailedPrecondition, infeasible.Error(), infeasibleDetail(infeasible)), true
	case errors.As(err, &unfit):
		return withDetails(codes.FailedPrecondition, unfit.Error(), unsupportedDetail(unfit), &quadratv1.ScriptError{
			Line: uint32(max(unfit.Line, 0)), Column: uint32(max(unfit.Column, 0)),
			Message: unfit.Feature + " can't be run yet", Hint: unfit.Hint,
		}), true
	case errors.As(err, &passing) && passing.Again():
		return status.New(codes.Unavailable, "stored rows were put in other files while they were read: ask again"), true
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was cancelled"), true
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the call took too long"), true
	}
	if st, ok := status.FromError(err); ok {
		return st, true
	}
	return status.New(codes.Internal, "the server could not do it; its log says why"), false
}

func withDetails(code codes.Code, message string, details ...protoadapt.MessageV1) *status.Status {
	st := status.New(code, message)
	if detailed, err := st.WithDetails(details...); err == nil {
		return detailed
	}
	return st
}

// httpStatus is the HTTP code of a gRPC code: those of grpc-gateway, but 422 for a design that can't be reached.
func httpStatus(code codes.Code) int {
	if code == codes.FailedPrecondition {
		return http.StatusUnprocessableEntity
	}
	return runtime.HTTPStatusFromCode(code)
}
