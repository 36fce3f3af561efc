#include "model/decoder.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.hpp"
#include "kernels/pixels.hpp"
#include "kernels/sparse/operator.hpp"
#include "schedule/call.hpp"
#include "schedule/ranges.hpp"

namespace digitvae {
namespace {

// Full tiles for each thread, above which the last ones hardly leave a thread waiting.
constexpr std::size_t kManyTiles = 8;
// Up to so many rows, reading the weights takes longer than what can be done with them: threads read some each.
constexpr std::size_t kFewRows = 3;

// How a call is cut: into parts that the threads take, or into one after the other, which they share.
struct Plan {
  std::size_t part_rows;
  unsigned threads;
  bool shares_parts;
};

// Full tiles if there are many; otherwise smaller parts, so that no thread waits for another, if these give the
// same bits.
Plan plan_for(const Networks& networks, std::size_t count, unsigned threads) {
  if (threads == 0) threads = available_threads();
  if (threads == 1 || count >= kManyTiles * threads * kTileRows) return {kTileRows, threads, false};
  const auto gives_same_bits = [&](std::size_t rows) { return networks.for_run(rows).shapes.rows_for(rows) == rows; };
  if (count <= kFewRows && networks.is_optimized(count) && gives_same_bits(count)) return {count, threads, true};
  const std::size_t rounds = (count + threads * kTileRows - 1) / (threads * kTileRows);
  const std::size_t rows = (count + rounds * threads - 1) / (rounds * threads);
  return {gives_same_bits(rows) ? rows : kTileRows, threads, false};
}

void work_as_planned(const Plan& plan, Workers& workers, std::size_t parts,
                     const std::function<TileWork()>& make_worker, const Poll& poll) {
  if (!plan.shares_parts) return for_each_tile(workers, parts, plan.threads, make_worker, poll);
  const sparse::Product::OnAll on_all = [&](std::size_t most, const std::function<void()>& work) {
    workers.run_if_free(std::min<std::size_t>(plan.threads, most) - 1, work);
  };
  const sparse::Sharing sharing(on_all);
  for_each_tile(workers, parts, 1, make_worker, poll);
}

}  // namespace

// One thread's scratch: a tile of latents, a tile of intensities.
template <typename Pixel>
class Decoder::TileDecoder {
 public:
  // `most_rows`: rows of the largest part that will come.
  TileDecoder(const Networks& networks, const ModelInfo& info, std::size_t most_rows)
      : networks_(networks), dim_(info.latent_dim), pixels_(info.pixels()) {
    reserve(most_rows);
  }

  // Where the latents of `rows` rows go that stand at `begin` in their tile.
  float* latents_of(std::size_t begin, std::size_t rows) {
    rows_ = rows;
    network_ = &networks_.for_run(rows);
    shape_ = network_->shapes.rows_for(rows);
    reserve(shape_);
    begin_ = shape_ == kTileRows ? begin : 0;
    if (rows_ != shape_) std::fill_n(scratch_.get(), shape_ * dim_, 0.0F);
    return scratch_.get() + begin_ * dim_;
  }

  // Decode those rows to `out`.
  void decode(Pixel* out) {
    const InRuntime inside;  // once for all that follows: each time takes some nanoseconds
    const Session& session = network_->session;
    const Session::Tensor z(session, scratch_.get(), shape_, dim_);
    if constexpr (std::is_same_v<Pixel, float>) {
      if (rows_ == shape_) {  // straight into the caller's memory
        const Session::Tensor x(session, out, shape_, pixels_);
        session.run({&z}, {&x});
        require_intensities(out, clamp_intensities(out, rows_ * pixels_));
        return;
      }
    }
    const Session::Tensor x(session, intensities(), shape_, pixels_);
    session.run({&z}, {&x});
    float* const source = intensities() + begin_ * pixels_;
    const std::size_t count = rows_ * pixels_;
    if constexpr (std::is_same_v<Pixel, float>) {
      require_intensities(source, clamp_intensities(source, count));
      std::copy_n(source, count, out);
    } else {
      require_intensities(source, pixels_from_intensities(source, count, out));
    }
  }

 private:
  // A decoder that leaves [0, 1], or gives NaN, must not pass for an image. `sound`: how many values do not.
  void require_intensities(const float* x, std::size_t sound) const {
    if (sound == rows_ * pixels_) return;
    throw ModelError("the decoder computed " + text_of(x[sound], 0.0, 1.0) + " for a pixel, expected 0 to 1");
  }

  // Room for a run of `rows` rows. What was there is lost.
  void reserve(std::size_t rows) {
    if (rows <= room_) return;
    scratch_.reset(new float[rows * (dim_ + pixels_)]);
    room_ = rows;
  }

  float* intensities() const { return scratch_.get() + room_ * dim_; }

  const Networks& networks_;
  std::size_t dim_;
  std::size_t pixels_;
  std::unique_ptr<float[]> scratch_;
  std::size_t room_ = 0;
  const Network* network_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t shape_ = 0;
  std::size_t begin_ = 0;
};

Decoder::Decoder(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes, Variant variant)
    : networks_(std::move(runtime), onnx::Model(model, bytes, onnx::Role::kNetwork), variant),
      info_(read_network_info(session())) {
  require_interface(session(), {batch_of("z", info_.latent_dim)}, {batch_of("x", info_.pixels())});
  if (variant == Variant::kOptimized) networks_.prepare();
}

template <typename Pixel>
void Decoder::sample(const LatentSource& source, std::uint64_t first, std::size_t count, Pixel* out,
                     std::int32_t* labels, unsigned threads, const Poll& poll) const {
  run_call(networks_.is_quick() && source.is_quick(), poll, [&](const Poll& asked) {
    source.require_fit(info_);
    if (count == 0) return;
    source.prepare_for(count);
    networks_.prepare_for(count);
    const Plan plan = plan_for(networks_, count, threads);
    const AlignedRange range(first, count, plan.part_rows);
    const auto make_worker = [&]() -> TileWork {
      const auto maker = std::make_shared<LatentMaker>(source, info_.latent_dim);
      const auto decoder = std::make_shared<TileDecoder<Pixel>>(networks_, info_, std::min(count, plan.part_rows));
      return [this, &range, out, labels, maker, decoder](std::size_t number) {
        const AlignedRange::Part part = range.part(number);
        const std::size_t offset = range.offset(part);
        maker->make(part.start, part.rows, decoder->latents_of(part.begin, part.rows),
                    labels == nullptr ? nullptr : labels + offset);
        decoder->decode(out + offset * info_.pixels());
      };
    };
    work_as_planned(plan, workers_, range.parts(), make_worker, asked);
  });
}

void Decoder::latents(const LatentSource& source, std::uint64_t first, std::size_t count, float* z,
                      std::int32_t* labels, unsigned threads, const Poll& poll) const {
  run_call(source.is_quick(), poll, [&](const Poll& asked) {
    source.require_fit(info_);
    if (count == 0) return;
    source.prepare_for(count);
    const AlignedRange range(first, count, kTileRows);
    const auto make_worker = [&]() -> TileWork {
      const auto maker = std::make_shared<LatentMaker>(source, info_.latent_dim);
      return [this, &range, z, labels, maker](std::size_t number) {
        const AlignedRange::Part part = range.part(number);
        const std::size_t offset = range.offset(part);
        maker->make(part.start, part.rows, z + offset * info_.latent_dim,
                    labels == nullptr ? nullptr : labels + offset);
      };
    };
    for_each_tile(workers_, range.parts(), threads, make_worker, asked);
  });
}

template <typename Pixel>
void Decoder::decode(const float* z, std::size_t count, Pixel* out, unsigned threads, const Poll& poll) const {
  run_call(networks_.is_quick(), poll, [&](const Poll& asked) {
    const std::size_t dim = info_.latent_dim;
    require_within(z, count, dim, -kMaxLatent, kMaxLatent, "latents must be finite and within ±1e20", asked);
    if (count == 0) return;

    networks_.prepare_for(count);
    const Plan plan = plan_for(networks_, count, threads);
    const std::size_t part_rows = plan.part_rows;
    const auto make_worker = [&]() -> TileWork {
      const auto decoder = std::make_shared<TileDecoder<Pixel>>(networks_, info_, std::min(count, part_rows));
      return [this, z, count, dim, out, decoder, part_rows](std::size_t part) {
        const std::size_t start = part * part_rows;
        const std::size_t rows = std::min(part_rows, count - start);
        std::copy_n(z + start * dim, rows * dim, decoder->latents_of(0, rows));
        decoder->decode(out + start * info_.pixels());
      };
    };
    work_as_planned(plan, workers_, (count + part_rows - 1) / part_rows, make_worker, asked);
  });
}

template void Decoder::sample(const LatentSource&, std::uint64_t, std::size_t, float*, std::int32_t*, unsigned,
                              const Poll&) const;
template void Decoder::sample(const LatentSource&, std::uint64_t, std::size_t, std::uint8_t*, std::int32_t*, unsigned,
                              const Poll&) const;
template void Decoder::decode(const float*, std::size_t, float*, unsigned, const Poll&) const;
template void Decoder::decode(const float*, std::size_t, std::uint8_t*, unsigned, const Poll&) const;

}  // namespace digitvae
