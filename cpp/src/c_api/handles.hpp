// What the opaque handles of the C ABI are.
#pragma once

#include "engine/decoder.hpp"
#include "engine/encoder.hpp"
#include "engine/mixture.hpp"

struct dvae_decoder {
  digitvae::Decoder core;
};

struct dvae_encoder {
  digitvae::Encoder core;
};

struct dvae_prior {
  digitvae::Mixture core;
};
