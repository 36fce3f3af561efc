// The class-conditional latent mixture of a bundle: prior.onnx. It turns specified random numbers into
// latents and labels, so that everything random stays outside the graph.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/mixture/parameters.hpp"
#include "model/metadata.hpp"
#include "schedule/optimized.hpp"
#include "schedule/tiles.hpp"

namespace digitvae {

// Thread-safe: any number of calls may use one mixture at the same time.
class Mixture {
 public:
  // `model`: the bytes of prior.onnx; not needed after the constructor returns. If optimized, latents are drawn by
  // mixture::draw.
  Mixture(std::shared_ptr<const Runtime> runtime, const void* model, std::size_t bytes,
          Variant variant = Variant::kWhicheverPays);

  const ModelInfo& info() const { return info_; }
  const Session& session() const { return session_; }

  // Whether drawing a tile ends soon.
  bool is_quick() const { return is_optimized() || session_.is_quick(); }

  // To be told of every call and how many rows it is for: the session draws a whole tile, however few.
  void prepare_for(std::size_t rows) const { optimized_.prepare_for(std::max(rows, kTileRows)); }
  bool is_optimized() const { return optimized_.get() != nullptr; }

  // What one worker draws with.
  class Tile {
   public:
    explicit Tile(const Mixture& mixture);

    // What the mixture reads for each row; the noise is 0 where it reads none.
    std::vector<float> u;
    std::vector<std::int64_t> digit;
    std::vector<float> noise;
    // What it draws.
    std::vector<float> latents;
    std::vector<std::int64_t> label;

    // Those of all rows, by ONNX Runtime.
    void run() const { session_.run({&u_, &digit_, &noise_}, {&latents_, &label_}); }
    // Those of some rows, to the same bits, their latents to `z`.
    void draw(const mixture::Parameters& p, std::size_t begin, std::size_t rows, float* z);

    // What to draw with; null if the session is to be run.
    const mixture::Parameters* optimized() const { return optimized_; }

   private:
    const Session& session_;
    const mixture::Parameters* optimized_;
    Session::Tensor u_;
    Session::Tensor digit_;
    Session::Tensor noise_;
    Session::Tensor latents_;
    Session::Tensor label_;
  };

 private:
  Mixture(std::shared_ptr<const Runtime> runtime, const onnx::Model& model, Variant variant);
  bool gives_same_bits(const mixture::Parameters& p) const;
  Optimized<mixture::Parameters>::Make make_optimized(const onnx::Graph& graph) const;

  Session session_;
  ModelInfo info_;
  Optimized<mixture::Parameters> optimized_;
};

}  // namespace digitvae
