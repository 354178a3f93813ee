//! A simulated book whose wallets are known, which no real book offers.
//!
//! The wallet of client `c` for product `p` is all it spends on `p` anywhere; the supplier sees a share:
//!
//! ```text
//! ln wallet = level(p) + exponent(p) x size(c) + taste(segment(c), p) + noise
//! share     = 1 / (1 + exp(-(loyalty(c) + strength(p) + noise)))
//! ticket    = wallet x share, seen in four quarters that scatter around it
//! ```

/// One client's dealings in one product.
#[derive(Clone, Copy)]
pub struct Deal {
    pub client: usize,
    pub product: usize,
    pub wallet: f64,
    /// What the supplier sees: the mean of the quarters.
    pub ticket: f64,
    /// The best of the four quarters.
    pub best_quarter: f64,
}

/// All deals by client, then product.
pub struct World {
    pub segments: Vec<usize>,
    pub sizes: Vec<f64>,
    pub products: usize,
    pub deals: Vec<Deal>,
}

/// How a world is made.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub clients: usize,
    pub products: usize,
    pub segments: usize,
    /// Standard deviation of the clients' log size; 0 for a book in which size means nothing.
    pub size_spread: f64,
}

/// Numbers that look random and are always the same for a seed (splitmix64: Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A normal number of this standard deviation (Box, Muller, 1958).
    fn normal(&mut self, deviation: f64) -> f64 {
        let radius = (-2.0 * self.uniform().max(1e-300).ln()).sqrt();
        deviation * radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn normals(&mut self, count: usize, deviation: f64) -> Vec<f64> {
        (0..count).map(|_| self.normal(deviation)).collect()
    }
}

impl World {
    pub fn of(plan: Plan) -> Self {
        let mut random = Random(plan.seed);
        let levels = random.normals(plan.products, 0.7);
        let exponents: Vec<f64> = (0..plan.products)
            .map(|_| 0.6 + 0.5 * random.uniform())
            .collect();
        let strengths = random.normals(plan.products, 0.5);
        let tastes = random.normals(plan.products * plan.segments, 0.7);
        let sizes = random.normals(plan.clients, plan.size_spread);
        let mut world = Self {
            segments: (0..plan.clients).map(|at| at % plan.segments).collect(),
            sizes,
            products: plan.products,
            deals: Vec::new(),
        };
        for client in 0..plan.clients {
            let (segment, size) = (world.segments[client], world.sizes[client]);
            let loyalty = random.normal(0.7);
            for product in 0..plan.products {
                let taste = tastes[segment * plan.products + product];
                let own = levels[product] + exponents[product] * size + taste;
                let wallet = (8.0 + own + random.normal(0.35)).exp();
                let log_odds = loyalty + strengths[product] + random.normal(1.8);
                let ticket = wallet / (1.0 + (-log_odds).exp());
                let quarters = [(); 4].map(|()| ticket * random.normal(0.15).exp());
                if random.uniform() < 0.6 {
                    world.deals.push(Deal {
                        client,
                        product,
                        wallet,
                        ticket: quarters.iter().sum::<f64>() / 4.0,
                        best_quarter: quarters.into_iter().fold(0.0, f64::max),
                    });
                }
            }
        }
        world
    }
}
