#include "model/metadata.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "base/error.hpp"
#include "kernels/pixels.hpp"

namespace digitvae {
namespace {

std::string required(const Session& session, const std::string& key) {
  const auto found = session.metadata().find(key);
  if (found == session.metadata().end()) {
    throw ModelError("the model has no metadata '" + key + "': it was not exported by digitvae");
  }
  return found->second;
}

std::size_t required_size(const Session& session, const std::string& key) {
  constexpr std::size_t kMax = 65536;
  const std::string text = required(session, key);
  std::size_t value = 0;  // and stays so, of what is no number or too large a one
  const char* const end = std::from_chars(text.data(), text.data() + text.size(), value).ptr;
  if (end != text.data() + text.size() || value < 1 || value > kMax) {
    throw ModelError("the model's metadata '" + key + "' is '" + text + "', expected a number from 1 to 65536");
  }
  return value;
}

std::string describe(const std::vector<TensorSpec>& specs) {
  std::string text;
  for (const TensorSpec& spec : specs) {
    text += (text.empty() ? "" : ", ") + spec.name + " " + spec.type + " [";
    for (std::size_t i = 0; i < spec.shape.size(); ++i) {
      const std::string dynamic = i == 0 ? "batch" : "?";
      text += (i == 0 ? "" : ", ") + (spec.shape[i] < 0 ? dynamic : std::to_string(spec.shape[i]));
    }
    text += "]";
  }
  return text.empty() ? "none" : text;
}

void require_same(const std::vector<TensorSpec>& found, const std::vector<TensorSpec>& expected,
                  const std::string& what) {
  if (found == expected) return;
  throw ModelError("the model's " + what + " are " + describe(found) + ", expected " + describe(expected));
}

void require_schema(const Session& session) {
  const std::string schema = required(session, "digitvae.schema");
  if (schema != kSchema) {
    throw ModelError("the model's schema is '" + schema + "', this version of digitvae reads '" + kSchema + "'");
  }
}

}  // namespace

ModelInfo read_network_info(const Session& session) {
  require_schema(session);
  return {required_size(session, "digitvae.latent_dim"),
          required_size(session, "digitvae.height"),
          required_size(session, "digitvae.width"),
          0,
          0,
          required(session, "digitvae.dataset")};
}

ModelInfo read_prior_info(const Session& session) {
  require_schema(session);
  const std::size_t latent_dim = required_size(session, "digitvae.latent_dim");
  std::size_t noise_dim = latent_dim;  // a prior that says nothing may read all of it
  if (session.metadata().count("digitvae.noise_dim") != 0) noise_dim = required_size(session, "digitvae.noise_dim");
  if (noise_dim > latent_dim) {
    throw ModelError("the model's metadata 'digitvae.noise_dim' is " + std::to_string(noise_dim) + ", more than its " +
                     std::to_string(latent_dim) + " latents");
  }
  return {
      latent_dim, 0, 0, required_size(session, "digitvae.labels"), noise_dim, required(session, "digitvae.dataset")};
}

TensorSpec batch_of(const std::string& name, std::size_t columns) {
  return {name, "float32", {-1, static_cast<std::int64_t>(columns)}};
}

TensorSpec batch_of_scalars(const std::string& name, const std::string& type) { return {name, type, {-1}}; }

void require_interface(const Session& session, const std::vector<TensorSpec>& inputs,
                       const std::vector<TensorSpec>& outputs) {
  require_same(session.inputs(), inputs, "inputs");
  require_same(session.outputs(), outputs, "outputs");
}

std::string text_of(double value, double low, double high) {
  constexpr int kDigits = 6;
  constexpr int kMostDigits = std::numeric_limits<double>::max_digits10;
  if (std::isnan(value)) return "nan";  // some say -nan
  char text[32];
  for (int digits = kDigits; digits <= kMostDigits; ++digits) {
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (value >= low && value <= high) break;
    const double read = std::strtod(text, nullptr);
    if (read < low || read > high) break;
  }
  return text;
}

void require_within(const float* rows, std::size_t count, std::size_t columns, float low, float high,
                    const std::string& what, const Poll& poll) {
  constexpr std::size_t kBlock = std::size_t{1} << 20;  // under a millisecond
  const std::size_t total = count * columns;
  Asker asker(poll);
  std::size_t index = 0;
  while (index < total) {
    const std::size_t end = std::min(total, index + kBlock);
    index += first_outside(rows + index, end - index, low, high);
    if (index < end) break;
    asker.ask(0, 1);
  }
  if (index == total) return;
  throw InvalidArgument(what + ": row " + std::to_string(index / columns) + ", column " +
                        std::to_string(index % columns) + " is " + text_of(rows[index], low, high));
}

}  // namespace digitvae
