// Hostile clients of a server: connections that say nothing, little, or far too much.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace branchy {

/// Opens connections to 127.0.0.1:`port` and keeps them. Raises the limit of open files as far as
/// it may.
class IdleConnections {
 public:
  /// Opens at most `count`; fewer when files run out or the server refuses.
  IdleConnections(int port, std::int64_t count);
  ~IdleConnections();
  IdleConnections(const IdleConnections&) = delete;
  IdleConnections& operator=(const IdleConnections&) = delete;

  [[nodiscard]] std::int64_t size() const;
  /// Of these, how many the server has closed or answered.
  [[nodiscard]] std::int64_t num_ended();
  /// Sends one byte of an endless header on each that is still open.
  void drip();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Raises the soft limit of open files to the hard one, for this process and those it starts.
/// Returns it.
std::int64_t raise_open_files_limit();

/// What became of a request whose body is far too large.
struct HugeBodyAnswer {
  int status = 0;               ///< 0: none came
  std::int64_t bytes_sent = 0;  ///< of the body, before the server ended it
};

/// Announces (`chunked`: does not) a body of `bytes` and sends it until the server answers or
/// closes; gives up after 20 s.
[[nodiscard]] HugeBodyAnswer send_huge_body(int port, const std::string& path, std::int64_t bytes,
                                            bool chunked);

}  // namespace branchy
