// Certificates for tests of TLS, made by the program `openssl`.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tests/support/temporary_directory.h"

namespace branchy::test {

struct Certificate {
  std::string certificate_file;
  std::string key_file;
};

inline void run_openssl(const std::string& arguments) {
  const std::string command = "openssl " + arguments + " >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

/// A self-signed certificate for `subject_alternative_names`, e.g. "DNS:cloud,IP:127.0.0.1".
inline Certificate make_certificate(const TemporaryDirectory& directory, const std::string& name,
                                    const std::string& subject_alternative_names) {
  Certificate made{(directory / (name + ".pem")).string(), (directory / (name + ".key")).string()};
  run_openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
              name + " -addext subjectAltName=" + subject_alternative_names + " -keyout " +
              made.key_file + " -out " + made.certificate_file);
  return made;
}

}  // namespace branchy::test
