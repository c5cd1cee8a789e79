#include "layers/models/filter_counts.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "layers/name_list.h"

namespace branchy {

FilterCounts::FilterCounts(OptionReader& options) : options_(options) {
  for (const std::string& part : split_list(options.text(kFiltersOption))) {
    const std::size_t colon = part.find(':');
    const char* end = part.data() + part.size();
    std::int64_t count = 0;
    const bool parsed =
        colon != std::string::npos && colon > 0 &&
        std::from_chars(part.data() + colon + 1, end, count) == std::from_chars_result{end, {}};
    if (!parsed || !given_.emplace(part.substr(0, colon), count).second)
      options.fail(kFiltersOption, "NAME:COUNT of convolutions, separated by commas, each once");
  }
}

std::int64_t FilterCounts::of(const std::string& conv, std::int64_t all) {
  const auto found = given_.find(conv);
  const std::int64_t count = found == given_.end() ? all : found->second;
  if (count < 1 || count > all)
    options_.fail(kFiltersOption, fmt::format("1 to {} filters of {}", all, conv));
  asked_.push_back({conv, count, all});
  return count;
}

std::vector<FilterCount> FilterCounts::finish() const {
  for (const auto& [name, count] : given_)
    if (std::none_of(asked_.begin(), asked_.end(),
                     [&wanted = name](const FilterCount& asked) { return asked.conv == wanted; })) {
      std::vector<std::string> names;
      for (const FilterCount& asked : asked_) names.push_back(asked.conv);
      options_.fail(kFiltersOption,
                    fmt::format("names of convolutions that no sum takes: {}", name_list(names)));
    }
  return asked_;
}

std::string filters_text(const std::vector<FilterCount>& filters) {
  std::string text;
  for (const FilterCount& filter : filters)
    if (filter.count < filter.all)
      text += fmt::format("{}{}:{}", text.empty() ? "" : ",", filter.conv, filter.count);
  return text;
}

}  // namespace branchy
