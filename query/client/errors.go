package client

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// refusalBytesMost bounds the body of an error.
const refusalBytesMost = 1 << 20

// Error is what the server answered instead of doing what was asked.
type Error struct {
	HTTPStatus int                    // status of the answer
	Code       codes.Code             // gRPC code of the same meaning
	Message    string                 // for people
	Script     *quadratv1.ScriptError // where a script is broken; nil when it isn't about that
	Infeasible *quadratv1.Infeasible  // what could be reached instead; nil when it isn't about that
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// refusal reads {code, message, details}; of an answer in another form it tells the status.
func refusal(reply *http.Response) *Error {
	e := &Error{HTTPStatus: reply.StatusCode, Code: codes.Unknown}
	raw, err := io.ReadAll(io.LimitReader(reply.Body, refusalBytesMost))
	var body struct {
		Code    codes.Code `json:"code"`
		Message string     `json:"message"`
		Details []struct {
			Type       string   `json:"@type"`
			Line       uint32   `json:"line"`
			Column     uint32   `json:"column"`
			Message    string   `json:"message"`
			Hint       string   `json:"hint"`
			Reason     string   `json:"reason"`
			BestMargin float64  `json:"best_margin"`
			BestPanel  uint32   `json:"best_panel"`
			Options    []string `json:"options"`
		} `json:"details"`
	}
	if err != nil || json.Unmarshal(raw, &body) != nil || body.Message == "" {
		e.Message = "the server answered " + reply.Status
		return e
	}
	e.Code, e.Message = body.Code, body.Message
	for _, d := range body.Details {
		switch {
		case strings.HasSuffix(d.Type, "/quadrat.v1.ScriptError"):
			e.Script = &quadratv1.ScriptError{Line: d.Line, Column: d.Column, Message: d.Message, Hint: d.Hint}
		case strings.HasSuffix(d.Type, "/quadrat.v1.Infeasible"):
			e.Infeasible = &quadratv1.Infeasible{Reason: d.Reason, BestMargin: d.BestMargin, BestPanel: d.BestPanel, Options: d.Options}
		}
	}
	return e
}
