// Prometheus's text format 0.0.4 as its own checker sees it: form of lines, families, histograms.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace branchy::test {

/// The value of the sample whose name with labels is `sample`; NaN when there is none.
[[nodiscard]] inline double metric_value(const std::string& text, const std::string& sample) {
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.size() > sample.size() && line.starts_with(sample) && line[sample.size()] == ' ')
      return std::stod(line.substr(sample.size() + 1));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// Checks a text line by line; `error()` is "" when all is right.
class MetricsText {
 public:
  explicit MetricsText(const std::string& text) {
    if (text.empty() || text.back() != '\n') fail("the last line does not end");
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) read(line);
    for (const auto& [series, last] : buckets_) {
      if (last.bound != std::numeric_limits<double>::infinity()) fail(series + " has no +Inf");
      const auto count = counts_.find(series);
      if (count == counts_.end() || count->second != last.value)
        fail(series + ": count is not the last bucket");
    }
  }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct Bucket {
    double bound = -std::numeric_limits<double>::infinity();
    double value = 0;
  };

  void fail(const std::string& text) {
    if (error_.empty()) error_ = text;
  }

  void read(const std::string& line) {
    static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+)");
    static const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram))");
    static const std::regex sample(
        R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*="([^"\\\n]|\\["\\n])*",?)+\})? (\S+))");
    std::smatch match;
    if (std::regex_match(line, match, help)) return begin(match[1]);
    if (std::regex_match(line, match, type)) return set_type(match[1], match[2]);
    if (!std::regex_match(line, match, sample)) return fail("no sample: " + line);
    char* end = nullptr;
    const std::string number = match[5];
    const double value = std::strtod(number.c_str(), &end);
    if (*end != '\0') return fail("no number: " + line);
    add(match[1], match[2], value);
  }

  void begin(const std::string& family) {
    if (!families_.insert(family).second) fail(family + " comes twice");
    family_ = family;
    type_.clear();
  }

  void set_type(const std::string& family, const std::string& type) {
    if (family != family_ || !type_.empty()) fail("type without help: " + family);
    type_ = type;
    const bool total = family.ends_with("_total");
    if ((type == "counter") != total) fail(family + ": counters, and only they, end in _total");
  }

  void add(const std::string& name, const std::string& labels, double value) {
    if (type_.empty()) return fail("no type before " + name);
    if (!samples_.insert(name + labels).second) return fail(name + labels + " comes twice");
    if (type_ == "counter" && !(value >= 0)) fail(name + " is a negative counter");
    if (type_ != "histogram") {
      if (name != family_) fail(name + " is not of the family " + family_);
      return;
    }
    const std::string part = name.starts_with(family_) ? name.substr(family_.size()) : "";
    if (part == "_count") counts_[family_ + labels] = value;
    if (part == "_bucket") add_bucket(labels, value);
    if (part != "_count" && part != "_sum" && part != "_bucket") fail(name + " of " + family_);
  }

  void add_bucket(const std::string& labels, double value) {
    static const std::regex bound(R"x((,?)le="([^"]+)")x");
    std::smatch match;
    if (!std::regex_search(labels, match, bound)) return fail(family_ + ": bucket without le");
    const std::string rest = labels.substr(0, static_cast<std::size_t>(match.position(0))) + "}";
    const std::string text = match[2];
    const double le = text == "+Inf" ? std::numeric_limits<double>::infinity() : std::stod(text);
    Bucket& last = buckets_[family_ + (rest == "{}" ? "" : rest)];
    if (!(le > last.bound) || value < last.value) fail(family_ + ": buckets do not rise");
    last = {le, value};
  }

  std::string error_, family_, type_;
  std::set<std::string> families_, samples_;
  std::map<std::string, Bucket> buckets_;
  std::map<std::string, double> counts_;
};

/// What is wrong with a text, or "".
[[nodiscard]] inline std::string format_error(const std::string& text) {
  return MetricsText(text).error();
}

}  // namespace branchy::test
