// The emulated driver: captures and graphs. A graph is the list of what was captured, in that order.
#include "driver.h"

#include <sys/syscall.h>
#include <unistd.h>

static uint64_t this_thread() { return (uint64_t)syscall(SYS_gettid); }

// forbids says whether a capture forbids what this thread wants to do beside it.
static bool forbids(const Capture &c) { return c.mode == 0 || (c.mode == 1 && c.thread == this_thread()); }

template <class F> static void each_capture(F f) {
  auto &all = state().captures;
  for (size_t i = 0; i < all.size();) {
    if (auto c = all[i].lock()) {
      f(*c);
      i++;
    } else {
      all.erase(all.begin() + (long)i);
    }
  }
}

bool capturing_here() {
  bool any = false;
  each_capture([&](Capture &c) { any |= forbids(c); });
  return any;
}

CUresult spoil(Capture *broken, CUresult r) {
  each_capture([&](Capture &c) {
    if ((broken ? broken == &c : forbids(c)) && c.broken == SUCCESS) c.broken = r;
  });
  return r;
}

API CUresult cuStreamBeginCapture_v2(Stream *handle, int mode) {
  return call("cuStreamBeginCapture", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    if (mode < 0 || mode > 2) return INVALID_VALUE;
    if (s == context()->legacy) return wrong(STREAM_CAPTURE_UNSUPPORTED, "the default stream cannot be captured");
    if (s->capture) return wrong(ILLEGAL_STATE, "the stream is captured already");
    s->capture = std::make_shared<Capture>();
    s->capture->origin = s.get();
    s->capture->mode = mode;
    s->capture->thread = this_thread();
    state().captures.push_back(s->capture);
    return SUCCESS;
  });
}

API CUresult cuStreamIsCapturing(Stream *handle, int *status) {
  return call("cuStreamIsCapturing", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    *status = !s->capture ? 0 : s->capture->broken == SUCCESS ? 1 : 2;
    return SUCCESS;
  });
}

API CUresult cuThreadExchangeStreamCaptureMode(int *mode) {
  static thread_local int now = 0;
  return call("cuThreadExchangeStreamCaptureMode", INIT, [&] { return std::swap(*mode, now), SUCCESS; });
}

static Graph *keep(std::vector<WorkPtr> nodes) {
  auto owned = std::make_unique<Graph>(Graph{context(), std::move(nodes)});
  Graph *g = owned.get();
  context()->graphs[g] = std::move(owned);
  return g;
}

API CUresult cuStreamEndCapture(Stream *handle, Graph **graph) {
  return call("cuStreamEndCapture", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    if (graph) *graph = nullptr;
    auto c = s->capture;
    if (!c) return wrong(ILLEGAL_STATE, "the stream is not captured");
    if (c->origin != s.get()) return wrong(spoil(c.get(), STREAM_CAPTURE_UNMATCHED), "a capture is ended by another stream than began it");
    if (c->mode != 2 && c->thread != this_thread()) return wrong(STREAM_CAPTURE_WRONG_THREAD, "a capture is ended by another thread than began it");
    bool unjoined = false;
    for (const auto &[other, last] : c->last) unjoined |= other != c->origin && c->joined[other] < last;
    for (const auto &[at, other] : context()->streams)
      if (other->capture == c) other->capture = nullptr;
    if (c->broken != SUCCESS) return STREAM_CAPTURE_INVALIDATED;
    if (unjoined) return wrong(STREAM_CAPTURE_UNJOINED, "a capture ends without having waited for a branch of it");
    note("%zu", c->nodes.size());
    if (graph) *graph = keep(c->nodes);
    return SUCCESS;
  });
}

static Graph *find_graph(Graph *g) { return context()->graphs.count(g) ? g : nullptr; }

API CUresult cuGraphCreate(Graph **graph, unsigned) {
  return call("cuGraphCreate", CONTEXT, [&] { return *graph = keep({}), SUCCESS; });
}

API CUresult cuGraphClone(Graph **clone, Graph *graph) {
  return call("cuGraphClone", CONTEXT, [&] {
    if (!find_graph(graph)) return INVALID_VALUE;
    *clone = keep(graph->nodes);
    return SUCCESS;
  });
}

API CUresult cuGraphDestroy(Graph *graph) {
  return call("cuGraphDestroy", CONTEXT, [&] { return context()->graphs.erase(graph) ? SUCCESS : INVALID_VALUE; });
}

API CUresult cuGraphGetNodes(Graph *graph, const Work **nodes, size_t *n) {
  return call("cuGraphGetNodes", CONTEXT, [&] {
    if (!find_graph(graph) || !n) return INVALID_VALUE;
    if (nodes)
      for (size_t i = 0; i < *n; i++) nodes[i] = i < graph->nodes.size() ? graph->nodes[i].get() : nullptr;
    if (!nodes || *n > graph->nodes.size()) *n = graph->nodes.size();
    return SUCCESS;
  });
}

// An executable graph takes memory of the device: 4 KiB a node, as good a guess as any.
static CUresult instantiate(Exec **exec, Graph *graph) {
  if (!exec || !find_graph(graph)) return INVALID_VALUE;
  auto owned = std::make_unique<Exec>();
  Exec *e = owned.get();
  e->context = context();
  e->nodes = std::make_shared<const std::vector<WorkPtr>>(graph->nodes);
  e->bytes = (int64_t)graph->nodes.size() << 12;
  note("%zu", graph->nodes.size());
  context()->execs[e] = std::move(owned);
  if (device_used(context()->device) > state().memory) {
    context()->execs.erase(e);
    return OUT_OF_MEMORY;
  }
  *exec = e;
  return SUCCESS;
}

API CUresult cuGraphInstantiateWithFlags(Exec **exec, Graph *graph, unsigned long long) {
  return call("cuGraphInstantiate", CONTEXT | UNCAPTURED, [&] { return instantiate(exec, graph); });
}
API CUresult cuGraphInstantiate_v2(Exec **exec, Graph *graph, void **, char *log, size_t size) {
  return call("cuGraphInstantiate", CONTEXT | UNCAPTURED, [&] {
    if (log && size) log[0] = 0;
    return instantiate(exec, graph);
  });
}
API CUresult cuGraphInstantiate(Exec **exec, Graph *graph, void **node, char *log, size_t size) {
  return cuGraphInstantiate_v2(exec, graph, node, log, size);
}

static Exec *find_exec(Exec *e) { return context()->execs.count(e) ? e : nullptr; }

API CUresult cuGraphUpload(Exec *exec, Stream *handle) {
  return call("cuGraphUpload", CONTEXT, [&] {
    return !find_exec(exec) ? INVALID_VALUE : !find_stream(handle) ? INVALID_HANDLE : SUCCESS;
  });
}

API CUresult cuGraphLaunch(Exec *exec, Stream *handle) {
  return call("cuGraphLaunch", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!find_exec(exec)) return INVALID_VALUE;
    if (!s) return INVALID_HANDLE;
    note("%zu", exec->nodes->size());
    auto work = std::make_shared<Work>();
    work->what = "graph";
    work->run = [nodes = exec->nodes](std::string &why) {
      for (const WorkPtr &n : *nodes)
        if (CUresult r = n->run(why); r != SUCCESS) return r;
      return SUCCESS;
    };
    return enqueue(s, work);
  });
}

API CUresult cuGraphExecDestroy(Exec *exec) {
  return call("cuGraphExecDestroy", CONTEXT, [&] { return context()->execs.erase(exec) ? SUCCESS : INVALID_VALUE; });
}
