package flight

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	arrowflight "github.com/apache/arrow/go/v17/arrow/flight"
	"github.com/apache/arrow/go/v17/arrow/flight/flightsql"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// Kappas tells which kappas there are. It is safe for use by many goroutines.
type Kappas interface {
	// ListKappas lists the live ones.
	ListKappas(ctx context.Context, r *quadratv1.ListKappasRequest) (*quadratv1.ListKappasResponse, error)
	// Resolve is the reference of a kappa that is given by its name or reference.
	Resolve(kappa string) (ref string, err error)
	// NameOf is the name of a kappa by its reference; empty for none.
	NameOf(ref string) string
}

// Answerer answers questions about stored reports. It is safe for use by many goroutines.
type Answerer interface {
	// Query answers a question. The caller owns the reply.
	Query(ctx context.Context, r *quadratv1.QueryRequest) (*quadratv1.QueryResponse, error)
}

// Span is stored rows of one kind of one kappa, whose windows start in [Since, Until); a zero time leaves that side open.
type Span struct {
	Kind         string // "results", "reports" or "strata"
	Ref          string
	Since, Until time.Time
}

// Rows streams stored rows.
type Rows interface {
	// Scan streams the rows of a span with the columns of engine/column, by the UTC days in which their windows start: results in their
	// newest revision, reports with the weights of the newest estimates. What was counted before the call is among them. A record is valid until the next one; who keeps
	// it retains it. An error ends the stream. It is safe for use by many goroutines.
	Scan(ctx context.Context, s Span) iter.Seq2[arrow.Record, error]
}

// Config says what a server reads from. The first three are required.
type Config struct {
	Kappas  Kappas
	Answers Answerer
	Rows    Rows
	Version string           // of the program, as clients show it; empty when it has none
	Alloc   memory.Allocator // nil for Go's
	// SortBytes bounds what a statement with ORDER BY holds: rows of one day, or all that it asks for when the newest come first. 0 is
	// 16 MiB, about 300,000 rows of five numbers.
	SortBytes int64
}

// Server is a Flight SQL server. It is safe for use by many goroutines and holds nothing between calls.
type Server struct {
	arrowflight.FlightServer // routes commands to the catalog and the statements

	tables *tables
}

// New makes a server. It does nothing until it is registered.
func New(cfg Config) (*Server, error) {
	if cfg.Kappas == nil || cfg.Answers == nil || cfg.Rows == nil {
		return nil, errors.New("flight config: kappas, answers and rows are needed")
	}
	if cfg.Alloc == nil {
		cfg.Alloc = memory.DefaultAllocator
	}
	if cfg.SortBytes == 0 {
		cfg.SortBytes = 16 << 20
	}
	t := &tables{cfg: cfg}
	t.Alloc = cfg.Alloc
	for id, value := range about(cfg.Version) {
		if err := t.RegisterSqlInfo(id, value); err != nil {
			return nil, err
		}
	}
	return &Server{FlightServer: flightsql.NewFlightServerWithAllocator(t, cfg.Alloc), tables: t}, nil
}

// Register adds the service to a gRPC server, before that serves. Its interceptors must check who calls and recover panics.
func (s *Server) Register(server *grpc.Server) { arrowflight.RegisterFlightServiceServer(server, s) }

// DoGet streams what a ticket stands for. It reads and sends in turn, in one goroutine, so that a slow client is waited for and one
// that leaves ends the reading.
func (s *Server) DoGet(ticket *arrowflight.Ticket, stream arrowflight.FlightService_DoGetServer) error {
	ctx := stream.Context()
	answer, err := s.tables.answer(ctx, ticket.GetTicket())
	if err != nil {
		return err
	}
	out := arrowflight.NewRecordWriter(stream, ipc.WithSchema(answer.schema), ipc.WithAllocator(s.tables.cfg.Alloc))
	for record, err := range answer.records(ctx) {
		if err == nil {
			err = out.Write(record)
		}
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
	return out.Close()
}

// DoPut refuses: nothing is written over Flight, and statements take no parameters. It hears the command first: a client that sends to a
// stream that has ended learns no more than that.
func (s *Server) DoPut(stream arrowflight.FlightService_DoPutServer) error {
	_, _ = stream.Recv() // whatever it says is refused
	return status.Error(codes.Unimplemented, "this server is read only, and statements take no parameters")
}

// Handshake gives back the password, which was admitted as the token, as a bearer token for the calls to come.
func (s *Server) Handshake(stream arrowflight.FlightService_HandshakeServer) error {
	incoming, _ := metadata.FromIncomingContext(stream.Context())
	for _, header := range incoming.Get("authorization") {
		if password, ok := service.Password(header); ok && password != "" {
			return stream.SendHeader(metadata.Pairs("authorization", "Bearer "+password))
		}
	}
	return stream.SendHeader(metadata.Pairs("authorization", "Bearer none"))
}
