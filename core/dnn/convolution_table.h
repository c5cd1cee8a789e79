// ConvolutionTable: the fastest method of each convolution, as measured on one machine.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/dnn/convolution_method.h"

namespace branchy::dnn {

/// A convolution by name, e.g. "forward 128x64x32x32 o64 k3 s1 p1": equal names, equal cost.
[[nodiscard]] std::string convolution_name(const ConvolutionSpec& spec, ConvolutionPass pass);

/// Methods by convolution_name(). Immutable once in use.
class ConvolutionTable {
 public:
  [[nodiscard]] bool empty() const { return methods_.empty(); }
  [[nodiscard]] std::size_t size() const { return methods_.size(); }
  [[nodiscard]] std::optional<ConvolutionMethod> find(const std::string& name) const;
  void set(const std::string& name, ConvolutionMethod method) { methods_[name] = method; }
  /// A JSON object, name to method.
  [[nodiscard]] std::string to_json() const;
  /// Throws DataError naming `place` for anything else, such as an unknown method.
  [[nodiscard]] static ConvolutionTable parse(std::string_view json, std::string_view place);

 private:
  std::map<std::string, ConvolutionMethod> methods_;
};

/// Puts a table in use for convolutions made from now on in this process (null: none), which
/// threads that make some must not do at the same time.
void use_convolution_table(std::shared_ptr<const ConvolutionTable> table);
/// The table in use, or null.
[[nodiscard]] std::shared_ptr<const ConvolutionTable> convolution_table();

/// While it lives, every convolution that this thread makes is noted.
class ConvolutionListing {
 public:
  using Entry = std::pair<ConvolutionSpec, ConvolutionPass>;
  ConvolutionListing();
  ~ConvolutionListing();
  ConvolutionListing(const ConvolutionListing&) = delete;
  ConvolutionListing& operator=(const ConvolutionListing&) = delete;

  /// In the order of their making, each name once.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  friend ConvolutionMethod choose_convolution_method(const ConvolutionSpec&, ConvolutionPass);
  static void note(const ConvolutionSpec& spec, ConvolutionPass pass);

  std::vector<Entry> entries_;
  ConvolutionListing* outer_;
};

}  // namespace branchy::dnn
