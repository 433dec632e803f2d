// The emulated driver: streams and events.
#include "driver.h"

std::shared_ptr<Stream> find_stream(Stream *handle) {
  Context *c = context();
  if (handle == nullptr || handle == (Stream *)1) return c->legacy;
  if (handle == (Stream *)2) return c->per_thread;
  auto s = c->streams.find(handle);
  return s == c->streams.end() ? nullptr : s->second;
}

// run_one does the next thing of a stream, and first what it waits for in others.
static void run_one(Stream &s) {
  Queued q = std::move(s.queue.front());
  s.queue.pop_front();
  for (const Point &p : q.after) run_until(p);
  if (state().sticky == SUCCESS && q.work) {
    std::string why;
    CUresult r = q.work->run(why);
    if (r != SUCCESS) fail(r, why);
  }
  if (q.time) *q.time = now();
  s.done++;
}

void run_until(const Point &p) {
  while (p.stream->done < p.done) run_one(*p.stream);
}

void run_all(Context *c) {
  run_until({c->legacy, c->legacy->queued});
  for (const auto &[handle, s] : c->streams) run_until({s, s->queued});
}

Point add(const std::shared_ptr<Stream> &s, Queued q) {
  Context *c = s->context;
  if (s == c->legacy) {
    for (const auto &[handle, other] : c->streams)
      if (other->blocking && other->done < other->queued) q.after.push_back({other, other->queued});
  } else if (s->blocking && c->legacy->done < c->legacy->queued) {
    q.after.push_back({c->legacy, c->legacy->queued});
  }
  s->queue.push_back(std::move(q));
  Point p{s, ++s->queued};
  if (!state().async) run_until(p);
  return p;
}

CUresult enqueue(const std::shared_ptr<Stream> &s, WorkPtr work) {
  if (Capture *c = s->capture.get()) {
    if (c->broken != SUCCESS) return STREAM_CAPTURE_INVALIDATED;
    c->nodes.push_back(std::move(work));
    c->last[s.get()] = c->nodes.size();
    return SUCCESS;
  }
  if (s == s->context->legacy)
    for (const auto &[handle, other] : s->context->streams)
      if (other->capture && other->blocking)
        return wrong(spoil(other->capture.get(), STREAM_CAPTURE_IMPLICIT), "the default stream is used, for which a stream that is captured waits");
  Queued q;
  q.work = std::move(work);
  add(s, std::move(q));
  return SUCCESS;
}

static CUresult create(Stream **handle, unsigned flags, int priority) {
  if (!handle || flags > 1) return INVALID_VALUE;
  auto s = std::make_shared<Stream>(context(), flags == 0);
  s->flags = flags;
  s->priority = priority > 0 ? 0 : priority < -5 ? -5 : priority;
  *handle = s.get();
  context()->streams[s.get()] = s;
  return SUCCESS;
}

API CUresult cuStreamCreate(Stream **s, unsigned flags) {
  return call("cuStreamCreate", CONTEXT, [&] { return create(s, flags, 0); });
}
API CUresult cuStreamCreateWithPriority(Stream **s, unsigned flags, int priority) {
  return call("cuStreamCreateWithPriority", CONTEXT, [&] { return create(s, flags, priority); });
}

API CUresult cuStreamDestroy_v2(Stream *handle) {
  return call("cuStreamDestroy", CONTEXT, [&] {
    auto s = context()->streams.find(handle);
    if (s == context()->streams.end() || s->second == context()->per_thread) return INVALID_HANDLE;
    if (s->second->capture) spoil(s->second->capture.get(), STREAM_CAPTURE_INVALIDATED);
    run_until({s->second, s->second->queued});
    context()->streams.erase(s);
    return SUCCESS;
  });
}

API CUresult cuStreamGetFlags(Stream *handle, unsigned *flags) {
  return call("cuStreamGetFlags", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    *flags = s->flags;
    return SUCCESS;
  });
}

API CUresult cuStreamGetPriority(Stream *handle, int *priority) {
  return call("cuStreamGetPriority", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    *priority = s->priority;
    return SUCCESS;
  });
}

API CUresult cuStreamGetCtx(Stream *handle, Context **c) {
  return call("cuStreamGetCtx", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    *c = s->context;
    return SUCCESS;
  });
}

API CUresult cuStreamSynchronize(Stream *handle) {
  return call("cuStreamSynchronize", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    if (s->capture || capturing_here())
      return wrong(spoil(s->capture.get(), STREAM_CAPTURE_UNSUPPORTED), "a stream is waited for while one is captured");
    run_until({s, s->queued});
    return state().sticky;
  });
}

API CUresult cuStreamQuery(Stream *handle) {
  return call("cuStreamQuery", CONTEXT, [&] {
    auto s = find_stream(handle);
    if (!s) return INVALID_HANDLE;
    if (s->capture || capturing_here())
      return wrong(spoil(s->capture.get(), STREAM_CAPTURE_UNSUPPORTED), "a stream is asked for its work while one is captured");
    if (s->done == s->queued) return state().sticky;
    run_one(*s); // so that it ends one day
    return NOT_READY;
  });
}

static Event *find_event(Event *e) { return context()->events.count(e) ? e : nullptr; }

API CUresult cuEventCreate(Event **e, unsigned flags) {
  return call("cuEventCreate", CONTEXT, [&] {
    if (!e || flags > 7) return INVALID_VALUE;
    auto owned = std::make_unique<Event>();
    owned->context = context();
    owned->flags = flags;
    *e = owned.get();
    context()->events[*e] = std::move(owned);
    return SUCCESS;
  });
}

API CUresult cuEventDestroy_v2(Event *e) {
  return call("cuEventDestroy", CONTEXT, [&] { return context()->events.erase(e) ? SUCCESS : INVALID_HANDLE; });
}

API CUresult cuEventRecord(Event *handle, Stream *stream) {
  return call("cuEventRecord", CONTEXT, [&] {
    Event *e = find_event(handle);
    auto s = find_stream(stream);
    if (!e || !s) return INVALID_HANDLE;
    if (Capture *c = s->capture.get()) {
      if (c->broken != SUCCESS) return STREAM_CAPTURE_INVALIDATED;
      e->captured = true;
      e->capture = s->capture;
      e->captured_by = s.get();
      e->captured_at = c->nodes.size();
      return SUCCESS;
    }
    e->captured = false;
    e->time = std::make_shared<double>(0);
    Queued q;
    q.time = e->time;
    e->at = add(s, std::move(q));
    return SUCCESS;
  });
}
API CUresult cuEventRecordWithFlags(Event *e, Stream *s, unsigned flags) {
  return flags ? NOT_SUPPORTED : cuEventRecord(e, s);
}

static CUresult in_capture(const char *what) {
  spoil(nullptr, STREAM_CAPTURE_UNSUPPORTED);
  return wrong(STREAM_CAPTURE_UNSUPPORTED, "%s while a stream is captured", what);
}

API CUresult cuEventSynchronize(Event *handle) {
  return call("cuEventSynchronize", CONTEXT, [&] {
    Event *e = find_event(handle);
    if (!e) return INVALID_HANDLE;
    if (e->captured) return wrong(CAPTURED_EVENT, "an event is waited for that was recorded in a capture");
    if (capturing_here()) return in_capture("an event is waited for");
    if (e->at.stream) run_until(e->at);
    return state().sticky;
  });
}

API CUresult cuEventQuery(Event *handle) {
  return call("cuEventQuery", CONTEXT, [&] {
    Event *e = find_event(handle);
    if (!e) return INVALID_HANDLE;
    if (e->captured) return wrong(CAPTURED_EVENT, "an event is asked for that was recorded in a capture");
    if (capturing_here()) return in_capture("an event is asked for");
    if (!e->at.stream || e->at.stream->done >= e->at.done) return state().sticky;
    run_one(*e->at.stream);
    return NOT_READY;
  });
}

API CUresult cuEventElapsedTime(float *ms, Event *from, Event *to) {
  return call("cuEventElapsedTime", CONTEXT, [&] {
    for (Event *e : {from, to}) {
      if (!find_event(e) || (e->flags & 2) || !e->at.stream || e->captured) return INVALID_HANDLE; // 2: without time
      if (e->at.stream->done < e->at.done) return NOT_READY;
    }
    *ms = (float)(*to->time - *from->time);
    return SUCCESS;
  });
}
API CUresult cuEventElapsedTime_v2(float *ms, Event *from, Event *to) { return cuEventElapsedTime(ms, from, to); }

API CUresult cuStreamWaitEvent(Stream *stream, Event *handle, unsigned flags) {
  return call("cuStreamWaitEvent", CONTEXT, [&] {
    Event *e = find_event(handle);
    auto s = find_stream(stream);
    if (!e || !s) return INVALID_HANDLE;
    if (flags) return NOT_SUPPORTED;
    auto of = e->captured ? e->capture.lock() : nullptr;
    if (e->captured && !of) return wrong(ILLEGAL_STATE, "an event is waited for whose capture has ended");
    if (of && s->capture && s->capture != of) return wrong(spoil(of.get(), STREAM_CAPTURE_MERGE), "a captured stream waits for one of another capture");
    if (s->capture && !of) {
      if (!e->at.stream) return SUCCESS;
      return wrong(spoil(s->capture.get(), STREAM_CAPTURE_ISOLATION), "a captured stream waits for an event from outside of the capture");
    }
    if (of) {
      if (of->broken != SUCCESS) return STREAM_CAPTURE_INVALIDATED;
      s->capture = of; // a branch of the capture from here on
      if (s.get() == of->origin) of->joined[e->captured_by] = std::max(of->joined[e->captured_by], e->captured_at);
      else of->last[s.get()] = std::max(of->last[s.get()], (size_t)1); // to be joined, even if it does nothing
      return SUCCESS;
    }
    if (!e->at.stream) return SUCCESS;
    Queued q;
    q.after.push_back(e->at);
    add(s, std::move(q));
    return SUCCESS;
  });
}
