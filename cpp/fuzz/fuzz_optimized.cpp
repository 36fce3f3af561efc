// Any bytes as a decoder and as a mixture: where an optimized twin can be made, it computes what ONNX Runtime does, to
// the bit, or both say why not.
#include <new>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "harness.hpp"
#include "model/decoder.hpp"
#include "model/latents.hpp"
#include "onnx/fields.hpp"

using namespace digitvae;

namespace {

constexpr std::size_t kRows = kTileRows + 2;            // more than a tile
constexpr std::size_t kLargest = std::size_t{1} << 12;  // values per row; what is larger is not run

const std::shared_ptr<const Runtime>& runtime() {
  static const std::shared_ptr<const Runtime> opened = Runtime::open();
  return opened;
}

template <typename Network>
std::optional<Network> open(const std::uint8_t* data, std::size_t size, Variant variant) {
  try {
    return std::optional<Network>(std::in_place, runtime(), data, size, variant);
  } catch (const ModelError&) {
    return std::nullopt;
  } catch (const std::bad_alloc&) {  // a model may ask for more than there is
    return std::nullopt;
  }
}

// What `draw` leaves in as many numbers; nothing if it says that the model computes nonsense.
template <typename Draw>
std::optional<std::vector<float>> drawn(std::size_t count, const Draw& draw) {
  std::vector<float> values(count);
  try {
    draw(values.data());
  } catch (const std::runtime_error&) {
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
  return values;
}

void require_same_bits(const std::optional<std::vector<float>>& a, const std::optional<std::vector<float>>& b) {
  HOLDS(a.has_value() == b.has_value());
  if (a) HOLDS(std::memcmp(a->data(), b->data(), a->size() * sizeof(float)) == 0);
}

void compare_decoders(const std::uint8_t* data, std::size_t size) {
  const std::optional<Decoder> optimized = open<Decoder>(data, size, Variant::kOptimized);
  if (!optimized || !optimized->is_optimized(kTileRows) || optimized->info().pixels() > kLargest) return;
  const std::optional<Decoder> reference = open<Decoder>(data, size, Variant::kReference);
  HOLDS(reference.has_value());
  const auto images = [&](const Decoder& decoder) {
    return drawn(kRows * decoder.info().pixels(), [&](float* to) {
      LatentSource source;
      source.seed = 1;
      decoder.sample(source, 0, kRows, to, nullptr, 1, {});
    });
  };
  require_same_bits(images(*reference), images(*optimized));
}

void compare_mixtures(const std::uint8_t* data, std::size_t size) {
  const std::optional<Mixture> optimized = open<Mixture>(data, size, Variant::kOptimized);
  if (!optimized || !optimized->is_optimized() || optimized->info().latent_dim > kLargest) return;
  const std::optional<Mixture> reference = open<Mixture>(data, size, Variant::kReference);
  HOLDS(reference.has_value());
  const std::size_t dim = optimized->info().latent_dim;
  const auto classes = static_cast<std::int32_t>(std::min(optimized->info().labels, kTileRows));
  std::vector<std::int32_t> digits(1, kAnyDigit);
  for (std::int32_t digit = 0; digit < classes; ++digit) digits.push_back(digit);
  std::vector<std::int32_t> labels[2];
  const auto latents = [&](const Mixture& mixture, std::vector<std::int32_t>& label) {
    label.assign(kTileRows, -1);
    return drawn(kTileRows * dim, [&](float* to) {
      const LatentSource source{1, &mixture, digits, 1.0F};
      LatentMaker(source, dim).make(0, kTileRows, to, label.data());
    });
  };
  const auto one = latents(*reference, labels[0]);
  require_same_bits(one, latents(*optimized, labels[1]));
  if (one) HOLDS(labels[0] == labels[1]);
}

// The numbers, and the bytes that are no message, of a message and of those within it.
void find_values(std::string_view message, std::size_t depth, std::vector<std::string_view>& values) {
  onnx::Fields fields(message);
  for (onnx::Field field; fields.next(field);) {
    const bool is_bytes = field.wire_type == onnx::kBytes;
    const std::size_t before = values.size();
    if (is_bytes && depth > 0) find_values(field.bytes, depth - 1, values);
    if (values.size() == before) values.push_back(is_bytes ? field.bytes : field.whole.substr(1));
  }
  if (fields.failed()) values.clear();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  compare_decoders(data, size);
  compare_mixtures(data, size);
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

// Changes values and leaves the shape of the model: changed at random, a model hardly ever has a twin.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  constexpr std::size_t kDeepest = 5;
  constexpr std::uint32_t kOdd[] = {0,           0x80000000U, 1,           0x7F800000U, 0xFF800000U, 0x7FC00000U,
                                    0x7F7FFFFFU, 0x3F800000U, 0xFFFFFFFFU, 0x00800000U, 0x007FFFFFU, 0x7149F2CAU};
  std::minstd_rand random(seed);
  std::vector<std::string_view> values;
  find_values({reinterpret_cast<const char*>(data), size}, kDeepest, values);
  if (values.empty() || random() % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string_view value = values[random() % values.size()];
  if (value.empty()) return size;
  std::uint8_t* const begin = data + (reinterpret_cast<const std::uint8_t*>(value.data()) - data);
  if (value.size() % sizeof(std::uint32_t) == 0 && random() % 4 != 0) {
    const std::uint32_t odd =
        random() % 2 == 0 ? kOdd[random() % std::size(kOdd)] : static_cast<std::uint32_t>(random());
    std::memcpy(begin + random() % (value.size() / sizeof odd) * sizeof odd, &odd, sizeof odd);
  } else {
    begin[random() % value.size()] ^= static_cast<std::uint8_t>(1U << random() % 7);  // lengths stay: bit 7 says that
  }
  return size;
}
