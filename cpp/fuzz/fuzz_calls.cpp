// The input as a sequence of calls with any arguments, on models that are good.
#include <limits>
#include <string>
#include <vector>

#include "harness.hpp"

namespace {

constexpr std::size_t kMostValues = 4096;  // of a buffer
constexpr std::size_t kLargestChunk = 1024;

template <typename Handle>
Handle* open(const std::string& name, dvae_status (*open_file)(const char*, const dvae_open_options*, Handle**)) {
  Handle* handle = nullptr;
  HOLDS(open_file((DIGITVAE_CORPUS "/models/" + name).c_str(), nullptr, &handle) == DVAE_OK);
  return handle;
}

// Kept open to the end of the process: one handle serves any number of calls.
struct Models {
  dvae_decoder* decoder = open<dvae_decoder>("decoder_tiny.onnx", dvae_decoder_open);
  dvae_decoder* other_decoder = open<dvae_decoder>("decoder_other_dims.onnx", dvae_decoder_open);
  dvae_encoder* encoder = open<dvae_encoder>("encoder_tiny.onnx", dvae_encoder_open);
  dvae_prior* prior = open<dvae_prior>("prior_tiny.onnx", dvae_prior_open);
};

const Models& models() {
  static const Models open_models;
  return open_models;
}

constexpr std::size_t kLatents = 3;
constexpr std::size_t kPixels = 8;

// Mostly small, at times at the edge of the type.
template <typename T>
T take_count(Input& input) {
  switch (input.take<std::uint8_t>() % 8) {
    case 0:
      return 0;
    case 1:
      return input.take<T>();
    case 2:
      return std::numeric_limits<T>::max() / (1 + input.take<std::uint8_t>() % 64) + input.take<std::uint8_t>() % 2;
    case 3:
      return std::numeric_limits<T>::max() - input.take<std::uint8_t>();
    default:
      return input.take<std::uint8_t>();
  }
}

// Asks to stop when it has been called `calls_left` times; progress and chunks share it.
struct Patience {
  std::uint8_t calls_left;
  bool is_over() { return calls_left-- == 0; }
};

std::int32_t on_progress(void* context, std::uint64_t done, std::uint64_t total) {
  HOLDS(done <= total);
  return static_cast<Patience*>(context)->is_over() ? 1 : 0;
}

template <typename Options>
void take_progress(Input& input, Options& options, Patience& patience) {
  options.progress = on_progress;
  options.progress_context = &patience;
  patience.calls_left = input.take<std::uint8_t>();
}

std::uint32_t take_threads(Input& input) {
  return input.one_in(32) ? input.take<std::uint32_t>() : input.take<std::uint8_t>() % 4;
}

std::size_t take_struct_size(Input& input, std::size_t right) {
  return input.one_in(32) ? input.take<std::size_t>() : right;
}

struct Sampling {
  dvae_sample_options options = DVAE_SAMPLE_OPTIONS_INIT;
  const dvae_sample_options* given = &options;
  Patience patience{255};

  explicit Sampling(Input& input) {
    options.struct_size = take_struct_size(input, sizeof options);
    options.seed = input.take<std::uint64_t>();
    options.first = take_count<std::uint64_t>(input);
    if (input.one_in(2)) options.prior = models().prior;
    options.digit = input.one_in(4) ? input.take<std::int32_t>() : input.take<std::uint8_t>() % 12 - 1;
    options.threads = take_threads(input);
    if (input.one_in(2)) take_progress(input, options, patience);
    if (input.one_in(4)) options.truncation = input.take<float>();
    if (input.one_in(16)) given = nullptr;
  }
};

struct Running {
  dvae_run_options options = DVAE_RUN_OPTIONS_INIT;
  const dvae_run_options* given = &options;
  Patience patience{255};

  explicit Running(Input& input) {
    options.struct_size = take_struct_size(input, sizeof options);
    options.threads = take_threads(input);
    if (input.one_in(4)) take_progress(input, options, patience);
    if (input.one_in(16)) given = nullptr;
  }
};

// A buffer to be read; what the fuzzer has no bytes for is 0.
template <typename T>
std::vector<T> take_values(Input& input) {
  std::vector<T> values(input.take<std::uint16_t>() % kMostValues);
  const bool any = input.one_in(8);
  for (T& value : values) {
    if (input.empty()) break;
    value = any ? input.take<T>() : static_cast<T>(input.take<std::uint8_t>() % 2);
  }
  return values;
}

template <typename T>
Buffer<T> take_buffer(Input& input) {
  return Buffer<T>(input.take<std::uint16_t>() % kMostValues);
}

// Rows that `values` has for reading; at times a count that no buffer has, with a null pointer to read.
struct Rows {
  std::size_t count;
  bool present;
};
Rows take_rows(Input& input, std::size_t held) {
  if (input.one_in(16)) return {take_count<std::size_t>(input), false};
  return {std::min<std::size_t>(input.take<std::uint16_t>(), held), true};
}

std::size_t result_bytes(std::size_t rows, std::size_t width, std::size_t size) { return rows * width * size; }

const dvae_decoder* take_decoder(Input& input) {
  if (input.one_in(32)) return nullptr;
  return input.one_in(8) ? models().other_decoder : models().decoder;
}

template <typename Pixel>
void require_pixels(const Buffer<Pixel>& images, std::size_t values) {
  HOLDS(std::all_of(images.data(), images.data() + values, [](Pixel value) { return is_pixel(value); }));
}

template <typename Pixel>
void sample(Input& input, dvae_status (*function)(const dvae_decoder*, const dvae_sample_options*, std::size_t, Pixel*,
                                                  std::size_t, std::int32_t*)) {
  const Sampling sampling(input);
  const auto images = take_buffer<Pixel>(input);
  const auto count = take_count<std::size_t>(input);
  const bool labelled = input.one_in(2) && count < kMostValues;
  const Buffer<std::int32_t> labels(labelled ? count : 0);
  const dvae_status status =
      function(take_decoder(input), sampling.given, count, input.one_in(32) ? nullptr : images.data(), images.bytes(),
               labelled ? labels.data() : nullptr);
  require_documented(status);
  images.require_whole_or_nothing(status, result_bytes(count, kPixels, sizeof(Pixel)));
  labels.require_whole_or_nothing(status, labels.bytes());
  if (status == DVAE_OK) require_pixels(images, count * kPixels);
}

void latents(Input& input) {
  const Sampling sampling(input);
  const auto z = take_buffer<float>(input);
  const auto count = take_count<std::size_t>(input);
  const dvae_decoder* const decoder = take_decoder(input);
  const dvae_status status = dvae_latents(decoder, sampling.given, count, z.data(), z.bytes(), nullptr);
  require_documented(status);
  z.require_whole_or_nothing(
      status, result_bytes(count, decoder == models().other_decoder ? kLatents + 1 : kLatents, sizeof(float)));
}

// Chunks come in order and without gaps, and none after the one that said stop.
struct Chunks {
  std::uint64_t next;
  Patience patience;
  bool stopped = false;
};
template <typename Pixel>
std::int32_t on_chunk(void* context, std::uint64_t first, std::size_t count, const Pixel* images,
                      const std::int32_t* labels) {
  Chunks& chunks = *static_cast<Chunks*>(context);
  HOLDS(!chunks.stopped && first == chunks.next && count >= 1);
  HOLDS(std::all_of(images, images + count * kPixels, [](Pixel value) { return is_pixel(value); }));
  HOLDS(labels == nullptr || std::all_of(labels, labels + count, [](std::int32_t label) { return label >= 0; }));
  chunks.next += count;
  chunks.stopped = chunks.patience.is_over();
  return chunks.stopped ? 1 : 0;
}

template <typename Pixel, typename Function>
void stream(Input& input, Function function) {
  const Sampling sampling(input);
  const auto count = take_count<std::uint64_t>(input);
  // As large as that, or so large that it can only be refused: between them lies what exhausts memory.
  const std::size_t chunk = input.one_in(16) && count > std::numeric_limits<std::uint64_t>::max() / 4
                                ? std::numeric_limits<std::size_t>::max() - input.take<std::uint8_t>()
                                : input.take<std::size_t>() % kLargestChunk;
  Chunks chunks{sampling.given == nullptr ? 0 : sampling.options.first,
                {static_cast<std::uint8_t>(input.take<std::uint8_t>() % 4)}};
  const dvae_status status = function(take_decoder(input), sampling.given, count, chunk,
                                      input.one_in(32) ? nullptr : on_chunk<Pixel>, &chunks);
  require_documented(status);
  HOLDS(!chunks.stopped || status == DVAE_CANCELLED);
}

template <typename Pixel, typename Function>
void decode(Input& input, Function function) {
  const Running running(input);
  const auto z = take_values<float>(input);
  const auto images = take_buffer<Pixel>(input);
  const Rows rows = take_rows(input, z.size() / kLatents);
  const dvae_status status = function(input.one_in(32) ? nullptr : models().decoder, rows.present ? z.data() : nullptr,
                                      rows.count, images.data(), images.bytes(), running.given);
  require_documented(status);
  images.require_whole_or_nothing(status, result_bytes(rows.count, kPixels, sizeof(Pixel)));
  if (status == DVAE_OK) require_pixels(images, rows.count * kPixels);
}

template <typename Pixel, typename Function>
void encode(Input& input, Function function) {
  const Running running(input);
  const auto images = take_values<Pixel>(input);
  const auto size = input.take<std::uint16_t>() % kMostValues;
  const Buffer<float> mu(size);
  const Buffer<float> logvar(size);
  const Rows rows = take_rows(input, images.size() / kPixels);
  const dvae_status status =
      function(input.one_in(32) ? nullptr : models().encoder, rows.present ? images.data() : nullptr, rows.count,
               mu.data(), input.one_in(32) ? nullptr : logvar.data(), mu.bytes(), running.given);
  require_documented(status);
  mu.require_whole_or_nothing(status, result_bytes(rows.count, kLatents, sizeof(float)));
  logvar.require_whole_or_nothing(status, result_bytes(rows.count, kLatents, sizeof(float)));
}

void interpolate(Input& input) {
  const Running running(input);
  const auto a = take_values<float>(input);
  const auto b = take_values<float>(input);
  const auto z = take_buffer<float>(input);
  const std::size_t dim = input.one_in(32) ? take_count<std::size_t>(input) : input.take<std::uint8_t>() % 8;
  const Rows rows = take_rows(input, dim == 0 ? 0 : std::min(a.size(), b.size()) / dim);
  const auto steps = take_count<std::size_t>(input);
  const std::int32_t method = input.one_in(16) ? input.take<std::int32_t>() : input.take<std::uint8_t>() % 2;
  const dvae_status status = dvae_interpolate(rows.present ? a.data() : nullptr, b.data(), rows.count, dim, steps,
                                              method, z.data(), z.bytes(), running.given);
  require_documented(status);
  if (status == DVAE_INVALID_ARGUMENT) return z.require_whole_or_nothing(status, z.bytes());
  z.require_whole_or_nothing(status, result_bytes(rows.count * steps, dim, sizeof(float)));
}

void grid(Input& input) {
  const Running running(input);
  const auto corners = take_values<float>(input);
  const auto z = take_buffer<float>(input);
  const std::size_t dim = corners.size() / 4;
  const auto rows = take_count<std::size_t>(input);
  const auto columns = take_count<std::size_t>(input);
  const dvae_status status = dvae_grid(corners.data(), dim, rows, columns, z.data(), z.bytes(), running.given);
  require_documented(status);
  if (status == DVAE_INVALID_ARGUMENT) return z.require_whole_or_nothing(status, z.bytes());
  z.require_whole_or_nothing(status, result_bytes(rows * columns, dim, sizeof(float)));
}

void grid_point(Input& input) {
  const auto corners = take_values<float>(input);
  const auto z = take_buffer<float>(input);
  const std::size_t dim = corners.size() / 4;
  const auto right = input.take<double>();
  const auto down = input.take<double>();
  const dvae_status status = dvae_grid_point(corners.data(), dim, right, down, z.data(), z.bytes());
  require_documented(status);
  if (status == DVAE_OK) HOLDS(right >= 0 && right <= 1 && down >= 0 && down <= 1);
  z.require_whole_or_nothing(status, result_bytes(1, dim, sizeof(float)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  while (!input.empty()) {
    switch (input.take<std::uint8_t>() % 12) {
      case 0:
        sample<float>(input, dvae_sample_f32);
        break;
      case 1:
        sample<std::uint8_t>(input, dvae_sample_u8);
        break;
      case 2:
        latents(input);
        break;
      case 3:
        stream<std::uint8_t>(input, dvae_stream_u8);
        break;
      case 4:
        stream<float>(input, dvae_stream_f32);
        break;
      case 5:
        decode<float>(input, dvae_decode_f32);
        break;
      case 6:
        decode<std::uint8_t>(input, dvae_decode_u8);
        break;
      case 7:
        encode<float>(input, dvae_encode_f32);
        break;
      case 8:
        encode<std::uint8_t>(input, dvae_encode_u8);
        break;
      case 9:
        interpolate(input);
        break;
      case 10:
        grid(input);
        break;
      default:
        grid_point(input);
        break;
    }
  }
  return 0;
}
