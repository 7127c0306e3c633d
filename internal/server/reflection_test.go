package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
)

const kappaService = "quadrat.v1.KappaService"

// stranger calls a service of which it knows what reflection tells, and nothing else.
type stranger struct {
	t       *testing.T
	conn    *grpc.ClientConn
	service protoreflect.ServiceDescriptor
}

func meet(t *testing.T, address string) *stranger {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(q *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	listed := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	if !slices.ContainsFunc(listed.GetListServicesResponse().GetService(), func(r *reflectionv1.ServiceResponse) bool {
		return r.GetName() == kappaService
	}) {
		t.Fatalf("services %v", listed)
	}
	described := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{
		FileContainingSymbol: kappaService,
	}})
	set := &descriptorpb.FileDescriptorSet{}
	for _, raw := range described.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(raw, file); err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, file)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	found, err := files.FindDescriptorByName(kappaService)
	if err != nil {
		t.Fatal(err)
	}
	return &stranger{t: t, conn: conn, service: found.(protoreflect.ServiceDescriptor)}
}

// message makes the request of a method from JSON.
func (s *stranger) message(method protoreflect.Name, json string) (protoreflect.MethodDescriptor, *dynamicpb.Message) {
	s.t.Helper()
	m := s.service.Methods().ByName(method)
	if m == nil {
		s.t.Fatalf("reflection tells of no %s", method)
	}
	in := dynamicpb.NewMessage(m.Input())
	if err := protojson.Unmarshal([]byte(json), in); err != nil {
		s.t.Fatalf("%s %s: %v", method, json, err)
	}
	return m, in
}

// call calls a method that answers once.
func (s *stranger) call(method protoreflect.Name, json string) (*dynamicpb.Message, error) {
	s.t.Helper()
	m, in := s.message(method, json)
	out := dynamicpb.NewMessage(m.Output())
	return out, s.conn.Invoke(s.t.Context(), "/"+kappaService+"/"+string(method), in, out)
}

func (s *stranger) must(method protoreflect.Name, json string) *dynamicpb.Message {
	s.t.Helper()
	out, err := s.call(method, json)
	if err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
	return out
}

// watch takes the first n results of WatchKappa.
func (s *stranger) watch(json string, n int) (results []*dynamicpb.Message) {
	s.t.Helper()
	m, in := s.message("WatchKappa", json)
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	stream, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: m.IsStreamingServer()}, "/"+kappaService+"/WatchKappa")
	if err != nil {
		s.t.Fatal(err)
	}
	if err := stream.SendMsg(in); err != nil {
		s.t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		s.t.Fatal(err)
	}
	for range n {
		out := dynamicpb.NewMessage(m.Output())
		if err := stream.RecvMsg(out); err != nil {
			s.t.Fatal(err)
		}
		results = append(results, out)
	}
	return results
}

// field is the value of a field by its name in the schema.
func field(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

// TestLifeOfAKappaThroughReflection deploys, follows and deletes with what the server tells of itself alone.
func TestLifeOfAKappaThroughReflection(t *testing.T) {
	const devices, windows = 200, 2
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	fleet := w.join(devices, simulate.Config{})
	defer fleet.Close()
	s := meet(t, w.server.Addresses().GRPC)
	const script = `KAPPA indoor AS SELECT mean(temperature) FROM sense.temperature SAMPLE ALL ROTATING WINDOW 1m GRACE 5s ` +
		`PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 10 AND 40`
	plan := field(s.must("Explain", `{"script":"`+script+`"}`), "plan").Message()
	if got := field(plan, "population").Uint(); got != devices {
		t.Errorf("explain tells of %d devices", got)
	}
	if got := field(s.must("ListKappas", `{}`), "kappas").List().Len(); got != 0 {
		t.Errorf("explain deployed %d kappas", got)
	}
	put := s.must("PutKappa", `{"script":"`+script+`"}`)
	ref := field(put, "ref").String()
	if !field(put, "created").Bool() || ref == "" {
		t.Errorf("put %v", put)
	}
	kappas := field(s.must("ListKappas", `{}`), "kappas").List()
	if kappas.Len() != 1 || field(kappas.Get(0).Message(), "ref").String() != ref {
		t.Errorf("kappas %v", kappas)
	}
	for range windows {
		w.window(fleet, ref)
	}
	since := `{"ref":"indoor","since":"2026-11-20T00:00:00Z"}`
	for _, r := range s.watch(since, windows) {
		if field(r, "reports").Uint() != devices/10 || field(r, "ref").String() != ref {
			t.Errorf("watched %v", r)
		}
	}
	results := field(s.must("GetResults", since), "results").List()
	if results.Len() != windows || field(results.Get(0).Message(), "value").Float() == 0 {
		t.Errorf("results %v", results)
	}
	s.must("DeleteKappa", `{"ref":"`+ref+`"}`)
	if _, err := s.call("GetPlan", `{"ref":"indoor"}`); status.Code(err) != codes.NotFound {
		t.Errorf("the plan of a deleted kappa: %v", err)
	}
	if _, err := s.call("PutKappa", `{"script":"KAPPA"}`); status.Code(err) != codes.InvalidArgument {
		t.Errorf("half a script: %v", err)
	}
}
