#include <utility>

#include "infer/http_session.h"

namespace branchy {

Responder::State::State(std::shared_ptr<detail::HttpSession> the_session)
    : session_(std::move(the_session)),
      loop_(session_->server().loop),
      accepted_(session_->accepted()),
      stream_limit_bytes_(session_->server().options.stream_limit_bytes) {}

Responder::State::~State() {
  answer(error_response(500, "internal error"));
  // A stream without an end: only a connection that breaks tells the client.
  if (!ended_.exchange(true)) post_last([](detail::HttpSession& session) { session.close(); });
  // The last owner of a session must be on the I/O thread.
  if (session_) loop_.post([session = std::move(session_)] {});
}

template <class Act>
void Responder::State::post(Act act) {
  loop_.post([session = session_, act = std::move(act)]() mutable { session->run_guarded(act); });
}

template <class Act>
void Responder::State::post_last(Act act) {
  loop_.post([session = std::move(session_), act = std::move(act)]() mutable {
    session->run_guarded(act);
  });
}

void Responder::State::answer(HttpResponse response) {
  if (answered_.exchange(true)) return;
  ended_ = true;
  encode_answer(accepted_, response);
  post_last([reply = std::move(response)](detail::HttpSession& session) mutable {
    session.respond(std::move(reply));
  });
}

void Responder::State::begin(HttpResponse head) {
  if (answered_.exchange(true)) return;
  gauge_ = std::make_shared<detail::StreamGauge>();
  post([start = std::move(head), gauge = gauge_](detail::HttpSession& session) mutable {
    session.begin_stream(std::move(start), std::move(gauge));
  });
}

bool Responder::State::part(std::string bytes) {
  if (!gauge_ || ended_ || gauge_->gone) return false;
  if (bytes.empty()) return true;  // an empty chunk would end the answer
  if (gauge_->unsent_bytes.fetch_add(bytes.size()) + bytes.size() > stream_limit_bytes_) {
    gauge_->gone = true;
    ended_ = true;
    post_last([](detail::HttpSession& session) { session.close(); });
    return false;
  }
  post([text = std::move(bytes)](detail::HttpSession& session) mutable {
    session.stream_part(std::move(text));
  });
  return true;
}

void Responder::State::end() {
  if (!gauge_ || ended_.exchange(true)) return;
  post_last([](detail::HttpSession& session) { session.end_stream(); });
}

void Responder::operator()(HttpResponse response) const { state_->answer(std::move(response)); }
void Responder::begin(HttpResponse head) const { state_->begin(std::move(head)); }
bool Responder::part(std::string bytes) const { return state_->part(std::move(bytes)); }
void Responder::end() const { state_->end(); }

}  // namespace branchy
